package modeltest

import (
	"fmt"
	"math/rand/v2"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// Board is the checkerboard of n users and n items: even users like even
// items, odd users odd ones, and user u never met item u. So the best new item
// of user u is u, whatever the model, with no tolerance. perm, where given,
// renumbers the items: item i gets row perm[i].
func Board(n int, perm []int) *dataset.Dataset {
	var b dataset.Builder
	names := make([]string, n)
	for i := range n {
		row := i
		if perm != nil {
			row = perm[i]
		}
		names[row] = fmt.Sprintf("item-%d", i)
	}
	for _, name := range names {
		b.Item(name)
	}
	const day = 24 * 60 * 60 * 1000
	for u := range n {
		user := fmt.Sprintf("user-%d", u)
		b.User(user)
		for i := range n {
			if i%2 == u%2 && i != u {
				b.Add(user, fmt.Sprintf("item-%d", i), "", features.Interaction{
					Type: features.Purchase, TimeMS: 1_700_000_000_000 + int64(u*n+i)*day/100, Quantity: 1, Price: float32(1 + i%5),
				})
			}
		}
	}
	d := b.Build()
	d.Catalog = newShelf(d.Items)
	return d
}

// Shuffle puts each history of a board into a random order of its own, the
// times staying where they are. The board has all histories ascend, so a model
// of order would learn that nothing ever follows the last item and nothing
// leads to the first; which item a user never met is not a matter of order.
func Shuffle(d *dataset.Dataset) {
	random := rand.New(rand.NewPCG(seed, 2))
	for u := range d.Users {
		history := d.Log[d.Ptr[u]:d.Ptr[u+1]]
		random.Shuffle(len(history), func(i, j int) {
			history[i], history[j] = history[j], history[i]
			history[i].TimeMS, history[j].TimeMS = history[j].TimeMS, history[i].TimeMS
		})
	}
}

// Request is what a surface would ask for user u of d, with a Scratch of its
// own.
func Request(d *dataset.Dataset, u int) *features.Request {
	return &features.Request{
		Query:   features.Query{Shop: features.DefaultShop, Surface: features.SurfaceHome, Market: d.LastMarket(u), Limit: 10},
		Shopper: &features.Shopper{Recent: d.History(u), Consent: features.AllPurposes},
		Item:    features.NoRow,
		Catalog: d.Catalog,
		Scratch: new(features.Scratch),
	}
}

// shelf is a catalogue of named items whose words tell even from odd.
type shelf struct {
	items []features.Item
	rows  map[string]features.Row
}

func newShelf(names []string) *shelf {
	s := &shelf{items: make([]features.Item, len(names)), rows: make(map[string]features.Row, len(names))}
	for row, name := range names {
		var i int
		if _, err := fmt.Sscanf(name, "item-%d", &i); err != nil {
			i = row
		}
		colour := "red ceramic mug"
		if i%2 == 1 {
			colour = "blue woollen scarf"
		}
		s.items[row] = features.Item{ID: name, Kind: features.Product, Title: colour, Category: []string{colour}}
		s.rows[name] = features.Row(row)
	}
	return s
}

func (s *shelf) Len() int { return len(s.items) }

func (s *shelf) Row(id string) (features.Row, bool) { r, ok := s.rows[id]; return r, ok }

func (s *shelf) Item(r features.Row) *features.Item {
	if r < 0 || int(r) >= len(s.items) {
		return nil
	}
	return &s.items[r]
}

func (s *shelf) ID(r features.Row) string {
	if it := s.Item(r); it != nil {
		return it.ID
	}
	return ""
}

func (s *shelf) Where(string, string) *features.Bitmap { return nil }
