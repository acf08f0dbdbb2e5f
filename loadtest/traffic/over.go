package traffic

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/loadtest/load"
	"github.com/attune-rec/attune/loadtest/wire"
)

// sampled is one in how many answers is read and not only counted.
const sampled = 64

// Empty is the code of an answer that was OK and had nothing in it.
const Empty = "Empty"

// Caller begins calls: a wire.Client or a wire.Batch.
type Caller interface {
	Call(method string, message []byte, keep bool, reply wire.Reply)
}

// Over sends the mix by c. What is asked again, of a user or about an item, is
// encoded once; of the answers to recommendations and similar items every
// sixty-fourth is read and must have items.
func (s *Sender) Over(c Caller) load.Start {
	users, items := make([][]byte, s.mix.Users), make([][]byte, len(s.mix.ItemIDs))
	return func(_ context.Context, n uint64, done func(op, code string)) {
		q := s.draw(n)
		var method string
		var message []byte
		var err error
		switch q.op {
		case Recommend:
			method = attunev1.RecommendationService_Recommend_FullMethodName
			message, err = once(&users[q.user], func() ([]byte, error) { return proto.Marshal(s.recommend(q)) })
		case Similar:
			method = attunev1.RecommendationService_SimilarItems_FullMethodName
			message, err = once(&items[q.item], func() ([]byte, error) { return proto.Marshal(s.similar(q)) })
		case Collect:
			method = attunev1.EventService_Collect_FullMethodName
			message, err = proto.Marshal(s.collect(q, n))
		}
		if err != nil {
			done(q.op, fmt.Sprintf("cannot be encoded: %v", err))
			return
		}
		read := q.op != Collect && n%sampled == 0
		c.Call(method, message, read, func(code codes.Code, answer []byte) {
			if read && code == codes.OK {
				done(q.op, judge(q.op, answer))
				return
			}
			done(q.op, code.String())
		})
	}
}

// OverHTTP sends the mix to the gateway by h.
func (s *Sender) OverHTTP(h *wire.HTTP) load.Start {
	users, items := make([][]byte, s.mix.Users), make([][]byte, len(s.mix.ItemIDs))
	shop := "/v1/shops/" + url.PathEscape(s.mix.Shop)
	post := func(path string, m proto.Message) ([]byte, error) {
		body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		return h.Request(http.MethodPost, shop+path, body), err
	}
	return func(_ context.Context, n uint64, done func(op, code string)) {
		q := s.draw(n)
		var raw []byte
		var err error
		switch q.op {
		case Recommend:
			raw, err = once(&users[q.user], func() ([]byte, error) { return post(":recommend", s.recommend(q)) })
		case Similar:
			raw, err = once(&items[q.item], func() ([]byte, error) {
				return h.Request(http.MethodGet, fmt.Sprintf("%s/items/%s:similar?limit=%d", shop, url.PathEscape(s.mix.ItemIDs[q.item]), s.mix.Limit), nil), nil
			})
		case Collect:
			raw, err = post("/events", s.collect(q, n).GetEvent())
		}
		if err != nil {
			done(q.op, fmt.Sprintf("cannot be encoded: %v", err))
			return
		}
		h.Send(raw, func(status int) {
			switch {
			case status == 0:
				done(q.op, codes.Unavailable.String())
			case status/100 == 2:
				done(q.op, codes.OK.String())
			default:
				done(q.op, fmt.Sprintf("HTTP %d", status))
			}
		})
	}
}

// once is what is in at, which first puts there.
func once(at *[]byte, first func() ([]byte, error)) (b []byte, err error) {
	if *at == nil {
		*at, err = first()
	}
	return *at, err
}

// judge reads an answer.
func judge(op string, answer []byte) string {
	var err error
	items := 0
	switch op {
	case Recommend:
		var r attunev1.RecommendResponse
		err = proto.Unmarshal(answer, &r)
		items = len(r.GetItems())
	case Similar:
		var r attunev1.SimilarItemsResponse
		err = proto.Unmarshal(answer, &r)
		items = len(r.GetItems())
	}
	switch {
	case err != nil:
		return codes.Internal.String()
	case items == 0:
		return Empty
	}
	return codes.OK.String()
}
