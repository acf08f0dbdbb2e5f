package replay

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/ltr"
)

// shelved is a log with records of answers.
type shelved struct {
	memory
	answers []store.Served
}

func (s shelved) ScanServed(_ context.Context, _ features.ShopID, from, to time.Time, f func(*store.Served) error) error {
	for i := range s.answers {
		if a := s.answers[i]; !a.Time.Before(from) && a.Time.Before(to) {
			if err := f(&a); err != nil {
				return err
			}
		}
	}
	return nil
}

func answer(id string, user byte, surface string, at time.Time, items ...string) store.Served {
	s := store.Served{Recommendation: id, Time: at, User: features.UserKey{user}, Surface: surface}
	for _, it := range items {
		s.Items = append(s.Items, store.ServedItem{Item: it, Source: "all"})
	}
	return s
}

func follows(id string, user byte, kind features.EventType, item string, at time.Time) features.Event {
	return features.Event{Type: kind, User: features.UserKey{user}, Item: item, Time: at, Recommendation: id, Quantity: 1}
}

// Answers that something was taken of are lists with places, in the order of the
// log beside the sessions; where impressions came, only what was seen counts.
func TestListsOfWhatWasShown(t *testing.T) {
	log := shelved{memory: slices.Concat(
		buy(1, "a", day(9), 4),
		[]features.Event{follows("r1", 1, features.Click, "i07", day(11).Add(time.Minute))},
		buy(1, "b", day(12), 5),
		[]features.Event{
			follows("r2", 1, features.Impression, "i10", day(13).Add(time.Minute)), follows("r2", 1, features.Impression, "i12", day(13).Add(time.Minute)),
			follows("r2", 1, features.CartAdd, "i12", day(13).Add(2*time.Minute)),
			follows("r3", 1, features.Impression, "i10", day(14).Add(time.Minute)), // nothing was taken
			follows("r4", 1, features.Click, "i10", day(15).Add(time.Minute)),      // of another surface
			follows("r5", 3, features.Click, "i10", day(16).Add(time.Minute)),      // who does not want to be in figures
			follows("r6", 1, features.Click, "i10", day(25)),                       // after the window
		}),
		answers: []store.Served{
			answer("r1", 1, features.SurfaceHome, day(11), "i06", "gone", "i07"),
			answer("r2", 1, features.SurfaceHome, day(13), "i10", "i11", "i12"),
			answer("r3", 1, features.SurfaceHome, day(14), "i10", "i11"),
			answer("r4", 1, features.SurfaceItem, day(15), "i10", "i11"),
			answer("r5", 3, features.SurfaceHome, day(16), "i10", "i11"),
			answer("r6", 1, features.SurfaceHome, day(24), "i10", "i11"),
		},
	}
	s := subject(t, features.SurfaceHome, 40, nil)
	inputs, err := ltr.NewInputs(ltr.Params{Models: []string{"last"}, Sources: []string{"all"}, Signals: []string{"recency"}}, s.Models)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := Lists(context.Background(), log, features.DefaultShop, s, inputs, Options{From: day(10), To: day(20), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(lists) != 3 {
		t.Fatalf("got %d lists, want those of r1, order b and r2", len(lists))
	}
	for i, want := range []struct {
		position []int32
		gain     []float32
	}{{[]int32{0, 2}, []float32{0, 1}}, {nil, nil}, {[]int32{0, 2}, []float32{0, 1}}} {
		l := lists[i]
		if want.position == nil {
			if l.Position != nil || len(l.Gain) < 30 {
				t.Errorf("list %d: got %d candidates with places %v, want all that was proposed, without places", i, len(l.Gain), l.Position)
			}
			continue
		}
		if !slices.Equal(l.Position, want.position) || !slices.Equal(l.Gain, want.gain) || len(l.X) != len(l.Gain)*inputs.Width() {
			t.Errorf("list %d: got places %v, gains %v and %d numbers, want %+v", i, l.Position, l.Gain, len(l.X), want)
		}
	}
	// The model likes what follows the newest item, 4: 6 more than 7, and both are
	// judged among all that was proposed.
	if a, b := lists[0].X[0], lists[0].X[inputs.Width()]; !(a > b) {
		t.Errorf("got the scores %v of i06 and %v of i07, want the first above", a, b)
	}
	// Without records there are the sessions only.
	lists, err = Lists(context.Background(), log.memory, features.DefaultShop, s, inputs, Options{From: day(10), To: day(20), Seed: 1})
	if err != nil || len(lists) != 1 {
		t.Errorf("without records: got %d lists, %v, want 1", len(lists), err)
	}
}
