package signal

import "github.com/attune-rec/attune/features"

// Pair is what the shopper has had to do with the item: looks, times in the
// cart, purchases (logarithms), hours since the last; the hours are unknown
// when there was nothing.
type Pair struct{}

// Name implements features.Feature.
func (Pair) Name() string { return "pair" }

// Width implements features.Feature.
func (Pair) Width() int { return 4 }

// About implements Signal.
func (Pair) About() About {
	return About{Of: "pair", From: "log", Numbers: []string{
		"looks",
		"carts",
		"purchases",
		"hours since the last",
	}}
}

// Update implements features.Feature.
func (f Pair) Update(s features.State, e features.Event) {
	user := who(&e)
	if user == "" || !told(&e) {
		return
	}
	c := s.Cells(f.Name(), features.OfPair, user+e.Item, 4) // looks, carts, purchases, newest time
	switch e.Type {
	case features.Purchase:
		c[2]++
	case features.CartAdd:
		c[1]++
	default:
		c[0]++
	}
	c[3] = max(c[3], float64(e.Time.UnixMilli()))
}

// Value implements features.Feature.
func (f Pair) Value(r *features.Request, items []features.Row, out []float32) {
	fill(out)
	user := subject(r)
	if user == "" || r.State == nil || r.Catalog == nil {
		return
	}
	now := r.Now.UnixMilli()
	for i, row := range items {
		dealings(r.State.Read(f.Name(), features.OfPair, user+r.Catalog.ID(row)), now, out[4*i:4*i+4])
	}
}

func (f Pair) begin(r *features.Request, d *desk) {
	user := subject(r)
	if d.known = user != ""; d.known {
		d.own(f.Name(), user, r.Catalog)
	}
}

func (Pair) block(d *desk, lo, hi int, out []float32, stride int) {
	for i := lo; i < hi; i++ {
		v := (*[4]float32)(out[i*stride:])
		if !d.known {
			fill(v[:])
			continue
		}
		*v = [4]float32{3: unknown}
		if c := d.of(d.items[i]); c != nil {
			dealings(c.read(), d.now, v[:])
		}
	}
}

// dealings is the numbers of an item from its cells with the shopper.
func dealings(c []float64, now int64, v []float32) {
	v[0], v[1], v[2], v[3] = 0, 0, 0, unknown
	if c != nil {
		v[0], v[1], v[2], v[3] = log1p(c[0]), log1p(c[1]), log1p(c[2]), hours(int64(c[3]), now)
	}
}
