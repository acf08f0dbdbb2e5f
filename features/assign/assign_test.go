package assign

import (
	"encoding/binary"
	"math"
	"testing"
)

func TestShareIsEven(t *testing.T) {
	const n, buckets = 100_000, 20
	var count [buckets]int
	together := 0
	for i := range uint64(n) {
		key := binary.BigEndian.AppendUint64(nil, i)
		a, b := Share([]byte("a"), key), Share([]byte("b"), key)
		if a < 0 || a >= 1 {
			t.Fatalf("key %d: got %v, want a number in [0, 1)", i, a)
		}
		count[int(a*buckets)]++
		if a < .1 && b < .1 {
			together++
		}
	}
	for i, c := range count { // five standard deviations
		if math.Abs(float64(c)-n/buckets) > 5*math.Sqrt(n/buckets) {
			t.Errorf("bucket %d: got %d keys, want about %d", i, c, n/buckets)
		}
	}
	if math.Abs(float64(together)-n/100) > 5*math.Sqrt(n/100) {
		t.Errorf("got %d keys in a tenth of both salts, want about %d", together, n/100)
	}
}

// The numbers are a promise: a canary must not be dealt anew by an upgrade.
func TestShareNeverChanges(t *testing.T) {
	for _, c := range []struct {
		salt, key string
		want      float64
	}{{"", "", 0.6848974799809221}, {"salt", "ann", 0.4648237298752874}, {"sal", "tann", 0.638811836337472}} {
		if got := Share([]byte(c.salt), []byte(c.key)); got != c.want {
			t.Errorf("Share(%q, %q): got %.17g, want %.17g", c.salt, c.key, got, c.want)
		}
	}
}

func TestShareDoesNotAllocate(t *testing.T) {
	salt, key := []byte("8e11a9c2"), []byte("0123456789abcdef")
	if got := testing.AllocsPerRun(100, func() { Share(salt, key) }); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
