package signal

import (
	"math"
	"time"

	"github.com/attune-rec/attune/features"
)

var unknown = float32(math.NaN())

// add takes w into the decayed sum c[0] as of c[1], Unix milliseconds. A late
// event is decayed to the time the sum is of.
func add(c []float64, w float64, ms int64, half time.Duration) {
	at := int64(c[1])
	if ms >= at {
		if at > 0 {
			c[0] *= fade(ms-at, half)
		}
		c[0] += w
		c[1] = float64(ms)
		return
	}
	c[0] += w * fade(at-ms, half)
}

// sum is the decayed sum at ms; 0 of nil.
func sum(c []float64, ms int64, half time.Duration) float64 {
	if c == nil || c[0] == 0 {
		return 0
	}
	return c[0] * fade(max(0, ms-int64(c[1])), half)
}

func fade(ms int64, half time.Duration) float64 {
	return exp2(-float64(ms) / float64(half.Milliseconds()))
}

func log1p(v float64) float32 {
	if v < 1e-3 { // where 1+v loses digits
		v = max(0, v)
		return float32(v * (1 - v*(.5-v*(1./3))))
	}
	return float32(ln(1 + v))
}

// hours is how many lie between, on a logarithmic scale.
func hours(from, to int64) float32 { return log1p(float64(to-from) / 3.6e6) }

// subject is the key of the shopper's cells; "" when they may not be used.
func subject(r *features.Request) string {
	if r.Shopper == nil || r.Shopper.Key.IsZero() || !r.Shopper.Consent.Has(features.Personalisation) {
		return ""
	}
	return string(r.Shopper.Key[:])
}

func who(e *features.Event) string {
	k := e.Subject()
	if k.IsZero() {
		return ""
	}
	return string(k[:])
}

// fill sets all to unknown.
func fill(out []float32) {
	for i := range out {
		out[i] = unknown
	}
}

// told reports whether the event says something by itself about its item.
func told(e *features.Event) bool { return e.Item != "" && e.Type.Interest() }

func purchase(t features.EventType) float64 {
	if t == features.Purchase {
		return 1
	}
	return 0
}
