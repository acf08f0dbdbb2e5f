package trend

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var began = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// logOf is a log in memory.
type logOf []features.Event

func (l logOf) Scan(_ context.Context, _ features.ShopID, from, to int64, f func(*features.Event) error) error {
	for i := range l {
		if l[i].Seq >= from && l[i].Seq < to {
			if err := f(&l[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l logOf) End(context.Context, features.ShopID) (int64, error) { return int64(len(l)) + 1, nil }

func user(i int) features.UserKey { return features.UserKey{1, byte(i)} }

// event is that of shopper who with an item, some days before the beginning.
func event(who int, item, market string, ago float64) features.Event {
	at := began.Add(-time.Duration(ago * 24 * float64(time.Hour)))
	return features.Event{Type: features.Purchase, User: user(who), Item: item, Market: market, Time: at, Received: at, Quantity: 1}
}

// keeper counts for a shop, in which shoppers below 20 are in the segment low
// and others in high.
func keeper(t *testing.T, log logOf) (*Keeper, *Shop) {
	t.Helper()
	for i := range log {
		log[i].Seq = int64(i) + 1
	}
	k, err := New(Options{
		Log: log, Every: time.Hour, Shoppers: 3, Clock: func() time.Time { return began },
		Segments: func(_ features.ShopID, key features.UserKey) []string {
			return []string{map[bool]string{true: "low", false: "high"}[key[1] < 20]}
		},
		Withheld: func(_ context.Context, _ features.ShopID, e *features.Event) bool { return e.Item == "withheld" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &Shop{k: k, id: "shop", began: began, boards: map[key]*board{}}
	k.mu.Lock()
	k.shops["shop"] = s
	k.mu.Unlock()
	k.read(s)
	return k, s
}

func chart(k *Keeper, s *Shop, span pipeline.Span, market, segment string) []string {
	s.Trend(span, market, segment)
	k.Chart()
	if t := s.Trend(span, market, segment); t != nil {
		return t.Items
	}
	return nil
}

// What is wanted is counted by market, segment and span, as a plain count of the
// log does.
func TestCharts(t *testing.T) {
	var log logOf
	for i := range 30 { // shoppers 0 to 9 buy old lamps, 20 to 29 new chairs; all buy a bowl
		switch {
		case i < 10:
			log = append(log, event(i, "lamp", "DE", 20), event(i, "lamp", "DE", 21), event(i, "bowl", "FR", 4))
		case i >= 20:
			log = append(log, event(i, "chair", "DE", 1), event(i, "withheld", "DE", 0), event(i, "bowl", "FR", 4))
		}
	}
	log = append(log, event(0, "rare", "GB", 0), event(1, "rare", "GB", 0)) // two shoppers are too few
	k, s := keeper(t, log)
	for _, c := range []struct {
		span            pipeline.Span
		market, segment string
		want            []string
	}{
		{pipeline.OfLate, "", "", []string{"chair", "bowl", "rare", "lamp"}},
		{pipeline.Lasting, "", "", []string{"bowl", "lamp", "chair", "rare"}},
		{pipeline.OfLate, "DE", "", []string{"chair", "lamp"}},
		{pipeline.OfLate, "FR", "", []string{"bowl"}},
		{pipeline.OfLate, "GB", "", nil},
		{pipeline.Lasting, "", "high", []string{"chair", "bowl"}},
		{pipeline.Lasting, "DE", "low", []string{"lamp"}},
		{pipeline.Lasting, "DE", "nobody", nil},
	} {
		if got := chart(k, s, c.span, c.market, c.segment); !slices.Equal(got, c.want) {
			t.Errorf("span %d, market %q, segment %q: got %v, want %v", c.span, c.market, c.segment, got, c.want)
		}
	}
}

// What is stored while the server runs counts once, whether or not the log was
// read after it.
func TestStoredCountsOnce(t *testing.T) {
	k, s := keeper(t, nil)
	var now []features.Event
	for i := range 4 {
		e := event(i, "lamp", "", 0)
		e.Received = began.Add(time.Minute)
		now = append(now, e)
	}
	for i := range now {
		s.add(&now[i], true) // as a start reads it, later
	}
	if got := chart(k, s, pipeline.OfLate, "", ""); got != nil {
		t.Errorf("got %v of what Stored counts, want nothing yet", got)
	}
	k.Stored("shop", now)
	k.Stored("unasked", now)
	for range 10_000 { // the counting goroutine takes it in
		if got := chart(k, s, pipeline.OfLate, "", ""); slices.Equal(got, []string{"lamp"}) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if got := s.Trend(pipeline.OfLate, "", ""); got == nil || got.Scores[0] != 4 {
		t.Errorf("got %v, want lamp counted four times", got)
	}
}

// When other events are withheld, all is counted anew.
func TestReload(t *testing.T) {
	log := logOf{event(1, "lamp", "", 1), event(2, "lamp", "", 1), event(3, "bowl", "", 1)}
	k, s := keeper(t, log)
	if got := chart(k, s, pipeline.OfLate, "", ""); !slices.Equal(got, []string{"lamp", "bowl"}) {
		t.Fatalf("got %v, want lamp and bowl", got)
	}
	log[0].Item = "withheld" // as if it had been quarantined since
	log[1].Item = "bowl"
	k.Reload("shop")
	if got := chart(k, s, pipeline.OfLate, "", ""); got != nil {
		t.Errorf("got %v of two shoppers, want nothing", got)
	}
	k.Reload("another")
}

// Markets and segments come from callers: there is an end to both, and to the
// items of each.
func TestBounds(t *testing.T) {
	k, s := keeper(t, nil)
	for i := range 2 * mostBoards {
		e := event(i, "lamp", fmt.Sprint("market ", i), 0)
		s.add(&e, false)
	}
	if n := len(s.boards); n > mostBoards {
		t.Errorf("got %d boards, want at most %d", n, mostBoards)
	}
	for i := range mostItems * 3 / 2 {
		e := event(i%9, fmt.Sprint("item ", i%(mostItems+mostItems/4)), "", 0)
		s.add(&e, false)
	}
	if n := len(s.boards[key{}].items); n > mostItems {
		t.Errorf("got %d items, want at most %d", n, mostItems)
	}
	if got := chart(k, s, pipeline.OfLate, "", ""); len(got) != chartItems {
		t.Errorf("got a chart of %d, want %d", len(got), chartItems)
	}
}
