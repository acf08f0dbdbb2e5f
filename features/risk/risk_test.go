package risk

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func who(n int) features.UserKey { return features.UserKey{1, byte(n), byte(n >> 8)} }

// quiet is a shop in which two hundred shoppers look, order and review as people
// do.
func quiet() (all []features.Event) {
	r := rand.New(rand.NewPCG(1, 1)) // #nosec G404 -- a test's
	for n := range 200 {
		for order := range 4 {
			at := noon.Add(time.Duration(order*14*24+r.IntN(200)) * time.Hour)
			item := fmt.Sprint("item", r.IntN(50))
			all = append(all,
				features.Event{Type: features.Click, User: who(n), Item: item, Time: at.Add(-time.Minute)},
				features.Event{Type: features.Purchase, User: who(n), Item: item, Order: fmt.Sprint(n, order), Market: "DE", Quantity: 1,
					Price: features.Money{Micros: 10_000_000 + r.Int64N(5_000_000)}, Time: at})
			if r.IntN(4) == 0 {
				all = append(all, features.Event{Type: features.Review, User: who(n), Item: item, Value: float64(1 + r.IntN(5)), Time: at.Add(48 * time.Hour)})
			}
		}
	}
	return all
}

func assess(all []features.Event) []Flag {
	a := New(Options{Least: Certain})
	for i := range all {
		all[i].Seq = int64(i + 1)
		a.Fold(&all[i])
	}
	return a.Flags()
}

func TestNobodyIsFlaggedInAQuietShop(t *testing.T) {
	if got := assess(quiet()); len(got) > 0 {
		t.Errorf("got %+v, want nobody", got)
	}
}

// Each kind of attack is found as what it is, with reasons, and nobody else is;
// twice the same.
func TestEachKindIsFound(t *testing.T) {
	late := noon.Add(70 * 24 * time.Hour)
	attacks := map[Kind]func() (events []features.Event, by []features.UserKey){
		ClickFraud: func() (events []features.Event, by []features.UserKey) {
			for n := range 60 {
				events = append(events, features.Event{Type: features.Click, User: who(900), Item: "item1", Time: late.Add(time.Duration(n) * 10 * time.Second)})
			}
			return events, []features.UserKey{who(900)}
		},
		CouponAbuse: func() (events []features.Event, by []features.UserKey) {
			for n := range 6 {
				events = append(events, features.Event{Type: features.Purchase, User: who(900 + n), Item: "item1", Order: fmt.Sprint("c", n), Time: late,
					Attributes: map[string]string{CouponAttribute: "WELCOME", DeviceAttribute: "one"}})
				by = append(by, who(900+n))
			}
			return events, by
		},
		Takeover: func() (events []features.Event, by []features.UserKey) {
			for n := range 3 {
				events = append(events, features.Event{Type: features.Purchase, User: who(7), Item: "item1", Order: fmt.Sprint("t", n), Market: "US", Quantity: 50,
					Price: features.Money{Micros: 40_000_000}, Time: late.Add(time.Duration(n) * time.Minute)})
			}
			return events, []features.UserKey{who(7)}
		},
		ReviewRing: func() (events []features.Event, by []features.UserKey) {
			for n := range 6 {
				for item := range 5 {
					events = append(events, features.Event{Type: features.Review, User: who(900 + n), Item: fmt.Sprint("item", item), Value: 5,
						Time: late.Add(time.Duration(n+item) * time.Hour)})
				}
				by = append(by, who(900+n))
			}
			return events, by
		},
	}
	for kind, attack := range attacks {
		t.Run(string(kind), func(t *testing.T) {
			events, by := attack()
			log := append(quiet(), events...)
			got := assess(log)
			wanted := map[features.UserKey]bool{}
			for _, k := range by {
				wanted[k] = true
			}
			if len(got) != len(by) {
				t.Errorf("got %d flags, want %d", len(got), len(by))
			}
			for _, f := range got {
				if f.Kind != kind || !wanted[f.Subject] || len(f.Reasons) == 0 {
					t.Errorf("got %+v, want %s of one of %v with reasons", f, kind, by)
				}
				if k, who, err := ParseID(f.ID()); err != nil || k != kind || who != f.Subject {
					t.Errorf("id %s: got %s of %s, %v", f.ID(), k, who, err)
				}
				for i := range log {
					if e := &log[i]; e.Subject() == f.Subject && kind == Takeover && f.Covers(e) != (e.Market == "US") {
						t.Errorf("event %+v: covered %v, want only what somebody else did", e, f.Covers(e))
					}
				}
			}
			if again := assess(log); !reflect.DeepEqual(got, again) {
				t.Errorf("got %+v, then %+v", got, again)
			}
		})
	}
	for _, id := range []string{"", "theft-00", "takeover-xyz", "takeover"} {
		if _, _, err := ParseID(id); err == nil {
			t.Errorf("id %q: got no error", id)
		}
	}
}

// A thief of many accounts gives away those whose past is too short to tell, and
// those whose sums are usual; who buys the same item on a new device does not
// count among them.
func TestOneThiefHasManyAccounts(t *testing.T) {
	late := noon.Add(70 * 24 * time.Hour)
	order := func(n, o int, device string, price int64, at time.Time) features.Event {
		return features.Event{Type: features.Purchase, User: who(n), Item: "item1", Order: fmt.Sprint(n, device, o), Market: "DE", Quantity: 1,
			Price: features.Money{Micros: price * 1_000_000}, Time: at, Attributes: map[string]string{DeviceAttribute: device}}
	}
	log := quiet()
	for n := range 3 {
		for past := range 1 + 3*n { // 300: one order so far; 301: four; 302, an honest one: seven
			log = append(log, order(300+n, past, "own", 12, noon.Add(time.Duration(past*7*24)*time.Hour)))
		}
	}
	for n := range 10 { // taken over for certain
		for o := range 3 {
			e := order(n, o, "thief", 2000, late.Add(time.Duration(o)*time.Minute))
			e.Market = "US"
			log = append(log, e)
		}
	}
	for o := range 2 {
		log = append(log, order(300, o, "thief", 12, late.Add(time.Duration(o)*time.Minute)), order(301, o, "thief", 12, late.Add(time.Duration(o)*time.Minute)))
	}
	log = append(log, order(302, 0, "new", 12, late))
	flagged := map[features.UserKey]bool{}
	for _, f := range assess(log) {
		flagged[f.Subject] = true
	}
	for n, want := range map[int]bool{0: true, 9: true, 300: true, 301: true, 302: false} {
		if flagged[who(n)] != want {
			t.Errorf("account %d: flagged %v, want %v", n, !want, want)
		}
	}
	if len(flagged) != 12 {
		t.Errorf("got %d accounts flagged, want the 12 of the thief", len(flagged))
	}
}
