package expr

import (
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

// counted is a catalogue that counts how often it is asked for items.
type counted struct {
	features.Catalog
	asked int
}

func (c *counted) Item(row features.Row) *features.Item {
	c.asked++
	return c.Catalog.Item(row)
}

// What requests ask about all the time keeps its columns, however many other
// catalogues are prepared in the meantime.
func TestWhatIsServedKeepsItsColumns(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile("item.rating > 4.0", Rule)
	if err != nil {
		t.Fatal(err)
	}
	made := func() *counted {
		s, err := catalog.Of([]features.Item{{ID: "a", Kind: features.Product, Rating: 5}, {ID: "b", Kind: features.Product, Rating: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return &counted{Catalog: s}
	}
	served := made()
	ask := func() {
		t.Helper()
		b := p.Bind(&features.Request{Shopper: new(features.Shopper), Item: features.NoRow, Catalog: served}, nil)
		if !b.Match(0) || b.Match(1) {
			t.Fatalf("got %v and %v, want the first only", b.Match(0), b.Match(1))
		}
	}
	ask()
	for n := range 3 * keptSnapshots {
		p.Warm(made()) // which looks at what it may take over
		was := served.asked
		if ask(); served.asked != was {
			t.Fatalf("after %d others the served catalogue was read again", n+1)
		}
	}
}
