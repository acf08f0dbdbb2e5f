package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/features/signal"
)

// quarantine is a log in which some events do not count.
type quarantine struct {
	memory
	holds func(*features.Event) bool
}

func (q quarantine) Withheld(context.Context, features.ShopID) (func(*features.Event) bool, error) {
	return q.holds, nil
}

// busy is a log of shoppers who look, search, buy and give back, on devices,
// with and without list prices; one event in nine is late, and one shopper is
// only known by a session that was linked.
func busy(rng *rand.Rand, n int) memory {
	var log memory
	types := []features.EventType{features.View, features.Search, features.CartAdd, features.Purchase, features.Purchase, features.Return, features.Impression, features.Hide}
	for i := range n {
		at := day(1).Add(time.Duration(i) * 30 * time.Minute)
		if i%9 == 0 {
			at = at.Add(-time.Duration(rng.IntN(100)) * time.Hour)
		}
		e := features.Event{
			Type: types[rng.IntN(len(types))], User: features.UserKey{byte(1 + rng.IntN(5))}, Time: at, Quantity: int32(1 + rng.IntN(3)),
			Device: []string{"", "phone", "desk"}[rng.IntN(3)], Market: []string{"DE", "FR"}[rng.IntN(2)],
		}
		if e.Type != features.Search {
			e.Item = fmt.Sprintf("i%02d", rng.IntN(40))
		}
		if e.Type == features.Purchase {
			e.Order, e.Price = fmt.Sprint("o", i/3), features.MoneyOf(float64(1+rng.IntN(50)), "EUR")
			if rng.IntN(2) == 0 {
				e.Attributes = map[string]string{profile.AttrListPrice: fmt.Sprint(1 + rng.IntN(60))}
			}
		}
		if e.User == (features.UserKey{1}) && rng.IntN(2) == 0 {
			e.User, e.Session = features.UserKey{}, features.UserKey{9}
		}
		log = append(log, e)
	}
	return log
}

// twin is the profile of a visit's shopper, made of the log as plainly as it can
// be: what stands before the visit, happened before it and is not withheld,
// through the code that serving folds with.
func twin(log quarantine, v *visit, items features.Catalog, ref *profile.Reference) *features.Profile {
	var mine []features.Event
	_ = log.Scan(context.Background(), "", 0, 0, func(e *features.Event) error {
		who, _ := log.Resolve(context.Background(), "", e.Subject())
		if e.Seq < v.seq && who == v.user && e.Time.Before(v.start) && !log.holds(e) {
			mine = append(mine, *e)
		}
		return nil
	})
	state := profile.Of(mine)
	if state.Seq() == 0 {
		return nil
	}
	return state.Profile(ref, v.start)
}

// A replayed shopper's profile is what serving concludes of the same events,
// to the bit; what is withheld counts in none, and what comes later changes
// none.
func TestProfilesAreThoseServed(t *testing.T) {
	ctx := context.Background()
	var shelf []features.Item
	for i := range 40 {
		shelf = append(shelf, features.Item{ID: fmt.Sprintf("i%02d", i), Kind: features.Product, Category: []string{fmt.Sprint("c", i%3)}, Brand: fmt.Sprint("b", i%4)})
	}
	items, err := catalog.Of(shelf)
	if err != nil {
		t.Fatal(err)
	}
	log := quarantine{busy(rand.New(rand.NewPCG(3, 1)), 900), func(e *features.Event) bool { return e.Seq%11 == 0 }}
	o := Options{From: day(8), To: day(20)}
	profiles := func(log quarantine) (visits []*visit, all []*features.Profile) {
		tape, err := record(ctx, log, features.DefaultShop, items, &o)
		if err != nil {
			t.Fatal(err)
		}
		set, err := signal.NewSet()
		if err != nil {
			t.Fatal(err)
		}
		all = make([]*features.Profile, len(tape.visits))
		err = tape.walk(ctx, log, features.DefaultShop, items, set, func(i int, k known) error {
			all[i] = tape.shopper(tape.visits[i], items, k.ref).Profile
			if want := twin(log, tape.visits[i], items, k.ref); !reflect.DeepEqual(all[i], want) {
				t.Fatalf("visit %d of %d: got %+v\nwant %+v", i, tape.visits[i].user[0], all[i], want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return tape.visits, all
	}
	visits, all := profiles(log)
	rich, held := 0, 0
	for i, p := range all {
		if log.holds(&features.Event{Seq: visits[i].seq}) {
			held++
		}
		if p != nil && len(p.Categories) > 0 && p.PriceLevel != .5 && p.Orders > 1 {
			rich++
		}
	}
	if rich < 20 || held > 0 {
		t.Fatalf("got %d of %d visits with a profile that says much, want 20; %d that are withheld, want none", rich, len(visits), held)
	}
	// Whatever happens from the 14th on, nothing before it is another.
	later := quarantine{append(log.memory[:0:0], log.memory...), log.holds}
	cut := 0
	for i := range later.memory {
		if later.memory[i].Time.After(day(14)) && cut == 0 {
			cut = i
		}
	}
	rest := later.memory[cut:]
	rand.New(rand.NewPCG(8, 8)).Shuffle(len(rest), func(i, j int) {
		rest[i].Item, rest[j].Item = rest[j].Item, rest[i].Item
		rest[i].Type, rest[j].Type = rest[j].Type, rest[i].Type
	})
	again, others := profiles(later)
	same := 0
	for i := range visits {
		if visits[i].seq > int64(cut) || i >= len(again) || again[i].seq != visits[i].seq {
			continue
		}
		if same++; !reflect.DeepEqual(all[i], others[i]) {
			t.Fatalf("visit %d: got %+v with another future, want %+v", i, others[i], all[i])
		}
	}
	if same < 20 {
		t.Fatalf("only %d visits before the futures part", same)
	}
}
