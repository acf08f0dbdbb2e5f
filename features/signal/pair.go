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
	// Few of the candidates are known to the shopper: the buffer saves a key
	// for each of the others.
	buf := append(make([]byte, 0, 64), user...)
	for i, row := range items {
		buf = append(buf[:len(user)], r.Catalog.ID(row)...)
		v := out[4*i : 4*i+4]
		v[0], v[1], v[2] = 0, 0, 0
		if c := r.State.Read(f.Name(), features.OfPair, string(buf)); c != nil {
			v[0], v[1], v[2], v[3] = log1p(c[0]), log1p(c[1]), log1p(c[2]), hours(int64(c[3]), r.Now.UnixMilli())
		}
	}
}
