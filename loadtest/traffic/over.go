package traffic

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/loadtest/load"
	"github.com/attune-rec/attune/loadtest/wire"
)

// sampled is one in how many answers is read and not only counted.
const sampled = 64

// Empty is the code of an answer that was OK and had nothing in it.
const Empty = "Empty"

// Over sends the mix by c. What is asked again, of a user or about an item, is
// encoded once; of the answers to recommendations and similar items every
// sixty-fourth is read and must have items.
func (s *Sender) Over(c *wire.Client) load.Start {
	users, items := make([][]byte, s.mix.Users), make([][]byte, len(s.mix.ItemIDs))
	return func(_ context.Context, n uint64, done func(op, code string)) {
		q := s.draw(n)
		var method string
		var message []byte
		var err error
		switch q.op {
		case Recommend:
			method = attunev1.RecommendationService_Recommend_FullMethodName
			message, err = once(&users[q.user], func() proto.Message { return s.recommend(q) })
		case Similar:
			method = attunev1.RecommendationService_SimilarItems_FullMethodName
			message, err = once(&items[q.item], func() proto.Message { return s.similar(q) })
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

// once is what is in at, which make puts there the first time.
func once(at *[]byte, make func() proto.Message) ([]byte, error) {
	if *at != nil {
		return *at, nil
	}
	b, err := proto.Marshal(make())
	*at = b
	return b, err
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
