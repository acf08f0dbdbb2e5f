package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Letters is where refused rows are kept.
type Letters interface {
	ListDead(ctx context.Context, shop features.ShopID, after int64, limit int) ([]store.DeadLetter, error)
	MarkReplayed(ctx context.Context, shop features.ShopID, id int64) error
}

const (
	lettersRead = 20_000 // that one call looks at
	replayAtMax = 5_000  // that one call takes
	// replayedID begins the ids of replayed events that had none, so that one is
	// stored once however often it is replayed.
	replayedID = "deadletter-"
)

// ListDeadLetters implements the RPC.
func (s *Events) ListDeadLetters(ctx context.Context, r *attunev1.ListDeadLettersRequest) (*attunev1.ListDeadLettersResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	var after int64
	page, err := s.Tokens.Page(r, fmt.Sprintf("letters/%s/%s/%s/%v", shop, r.GetRule(), r.GetSource(), r.GetPending()), 100, &after)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.ListDeadLettersResponse{}
	last, more, err := s.letters(ctx, shop, after, func(d *store.DeadLetter) (bool, error) {
		if !matches(d, r.GetRule(), r.GetSource(), r.GetPending()) {
			return true, nil
		}
		if len(out.GetLetters()) == page.Size {
			return false, nil
		}
		letter := &attunev1.DeadLetter{
			Id: d.ID, Received: timeToProto(d.Received), Source: d.Source, Rule: d.Rule, Reason: d.Reason,
			Payload: strings.ToValidUTF8(string(d.Payload), "\uFFFD"), Replayed: timeToProto(d.Replayed),
		}
		if !d.User.IsZero() {
			letter.Subject = d.User.String()
		}
		out.Letters = append(out.Letters, letter)
		return true, nil
	})
	if err != nil {
		return nil, Status(err)
	}
	if more {
		if out.NextPageToken, err = page.Next(last); err != nil {
			return nil, Status(err)
		}
	}
	return out, nil
}

func matches(d *store.DeadLetter, rule, source string, pending bool) bool {
	return (rule == "" || d.Rule == rule) && strings.HasPrefix(d.Source, source) && (!pending || d.Replayed.IsZero())
}

// letters calls f with letters above after, by number, until f says no or
// enough were looked at: last is the newest that f took, more whether there may
// be others.
func (s *Events) letters(ctx context.Context, shop features.ShopID, after int64, f func(*store.DeadLetter) (bool, error)) (last int64, more bool, err error) {
	const atOnce = 500
	for range lettersRead / atOnce {
		list, err := s.Dead.ListDead(ctx, shop, after, atOnce)
		if err != nil || len(list) == 0 {
			return after, false, err
		}
		for i := range list {
			ok, err := f(&list[i])
			if err != nil || !ok {
				return after, true, err
			}
			after = list[i].ID
		}
		if len(list) < atOnce {
			return after, false, nil
		}
	}
	return after, true, nil
}

// ReplayDeadLetters implements the RPC.
func (s *Events) ReplayDeadLetters(ctx context.Context, r *attunev1.ReplayDeadLettersRequest) (*attunev1.ReplayDeadLettersResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.ReplayDeadLettersResponse{}
	ids := slices.Clone(r.GetIds())
	slices.Sort(ids)
	var chosen []store.DeadLetter
	take := func(d *store.DeadLetter) (bool, error) {
		_, named := slices.BinarySearch(ids, d.ID)
		if len(ids) > 0 && !named || !matches(d, r.GetRule(), r.GetSource(), true) {
			return true, nil
		}
		if len(chosen) == replayAtMax {
			return false, nil
		}
		chosen = append(chosen, *d)
		return true, nil
	}
	if len(ids) > 0 {
		for _, id := range ids {
			list, err := s.Dead.ListDead(ctx, shop, id-1, 1)
			if err != nil {
				return nil, Status(err)
			}
			if len(list) == 0 || list[0].ID != id {
				return nil, Status(fieldErrorf("ids", "there is no letter %d", id))
			}
			if ok, _ := take(&list[0]); !ok {
				out.More = true
				break
			}
		}
	} else if _, out.More, err = s.letters(ctx, shop, 0, take); err != nil {
		return nil, Status(err)
	}
	for i := range chosen {
		if err := s.replay(ctx, shop, &chosen[i], out); err != nil {
			return nil, Status(err)
		}
	}
	return out, nil
}

// replay takes one refused event once more.
func (s *Events) replay(ctx context.Context, shop features.ShopID, d *store.DeadLetter, out *attunev1.ReplayDeadLettersResponse) error {
	if !strings.HasPrefix(d.Source, "Collect") {
		out.Rows++
		return nil
	}
	e := &attunev1.Event{}
	if len(d.Payload) == 0 || protojson.Unmarshal(d.Payload, e) != nil {
		out.Lost++
		return nil //nolint:nilerr // what cannot be read is counted
	}
	if e.GetId() == "" {
		e.Id = fmt.Sprintf("%s%d", replayedID, d.ID)
	}
	t, err := s.take(ctx, shop, d.Source)
	if err != nil {
		return err
	}
	t.again = true
	t.add(d.ID, e)
	if err := t.store(ctx); err != nil {
		return err
	}
	out.Accepted += t.out.GetAccepted()
	out.Duplicates += t.out.GetDuplicates()
	out.Rejected += t.out.GetRejected()
	if t.out.GetRejected() > 0 {
		if len(out.GetErrors()) < errorsNamed {
			out.Errors = append(out.Errors, t.out.GetErrors()...)
		}
		return nil
	}
	return s.Dead.MarkReplayed(ctx, shop, d.ID)
}
