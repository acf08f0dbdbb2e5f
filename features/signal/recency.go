package signal

import (
	"time"

	"github.com/attune-rec/attune/features"
)

// Recency is how the shopper comes: hours since the last event, events in
// all, events of late (half life 14 days), purchases. All are logarithms;
// unknown without a shopper.
type Recency struct{}

const lately = 14 * 24 * time.Hour

// Name implements features.Feature.
func (Recency) Name() string { return "recency" }

// Width implements features.Feature.
func (Recency) Width() int { return 4 }

// About implements Signal.
func (Recency) About() About {
	return About{Of: "user", From: "log", Numbers: []string{
		"hours since the last event",
		"events",
		"events of late (half life 14 days)",
		"purchases",
	}}
}

// Update implements features.Feature.
func (f Recency) Update(s features.State, e features.Event) {
	user := who(&e)
	if user == "" || e.Type == features.Impression {
		return
	}
	c := s.Cells(f.Name(), features.OfUser, user, 4) // decayed sum and its time, events, purchases
	add(c, 1, e.Time.UnixMilli(), lately)
	c[2]++
	c[3] += purchase(e.Type)
}

// Value implements features.Feature.
func (f Recency) Value(r *features.Request, items []features.Row, out []float32) {
	v := f.of(r)
	for i := range items {
		copy(out[4*i:], v[:])
	}
}

func (f Recency) begin(r *features.Request, d *desk) { d.recency = f.of(r) }

func (Recency) block(d *desk, lo, hi int, out []float32, stride int) {
	for i := lo; i < hi; i++ {
		*(*[4]float32)(out[i*stride:]) = d.recency
	}
}

func (f Recency) of(r *features.Request) [4]float32 {
	user := subject(r)
	if user == "" || r.State == nil {
		return [4]float32{unknown, unknown, unknown, unknown}
	}
	now := r.Now.UnixMilli()
	c := r.State.Read(f.Name(), features.OfUser, user)
	if c == nil {
		return [4]float32{0: unknown}
	}
	return [4]float32{hours(int64(c[1]), now), log1p(c[2]), log1p(sum(c, now, lately)), log1p(c[3])}
}
