package vector

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/models/linalg"
)

// A plan names each run once at most; and, as long as what it names gives much, all that have a row
// that passes and is no further out than there is hope.
func TestPlanNamesWhatMayHoldSome(t *testing.T) {
	const n, dim = 6000, 8
	b := newBody(heap(n, dim, 3), dim, 2)
	r := b.runs
	rng := rand.New(rand.NewPCG(3, 3))
	var p plan
	for trial := range 20 {
		q := make([]float32, dim)
		for j := range q {
			q[j] = float32(rng.NormFloat64())
		}
		var codes linalg.QuantisedQuery
		length := queryBounds(q, &codes).off
		mask := make([]uint64, (n+63)/64)
		for range 1000 + trial*200 {
			row := rng.IntN(n)
			mask[row>>6] |= 1 << (row & 63)
		}
		p.begin(r, &codes, length, mask, count(mask), 10)
		bar := p.guess(30)
		if bar == minusInf {
			t.Fatalf("trial %d: got no bar", trial)
		}
		if lower := p.guess(100); lower > bar {
			t.Errorf("trial %d: got bar %v of 100 rows, %v of 30", trial, lower, bar)
		}
		seen := make([]bool, len(r.blockOf))
		name := func(runs []int32) {
			for _, run := range runs {
				if seen[run] {
					t.Fatalf("trial %d: run %d is named twice", trial, run)
				}
				seen[run] = true
			}
		}
		name(p.near())
		p.weigh(bar)
		for some := p.runs(n, bar); len(some) > 0; some = p.runs(n, bar) {
			name(some)
		}
		for run := range seen {
			z := float64((bar - p.means[run]) / (length * r.scatter[run]))
			if g := r.groupOf[run]; !seen[run] && z > 0 && z*z+float64(p.penalty[g]) < hopeless-bucketStep && p.left > p.loss {
				t.Errorf("trial %d: run %d, %v standard deviations below the bar, is not named", trial, run, z)
			}
		}
	}
}

// Filters by chance let through the same share of each group, others what they let through.
func TestShares(t *testing.T) {
	const n, dim = 24000, 8
	r := newBody(heap(n, dim, 8), dim, 2).runs
	rng := rand.New(rand.NewPCG(8, 8))
	for _, c := range []struct {
		what   string
		passes func(place int32) bool
		likely float64
	}{
		{"by chance", func(int32) bool { return rng.IntN(3) == 0 }, 1. / 3},
		{"whole groups", func(place int32) bool { return r.groupOf[r.runOf(place)]%4 == 0 }, 0},
	} {
		mask := make([]uint64, (n+63)/64)
		for place, row := range r.rowAt {
			if c.passes(int32(place)) {
				mask[row>>6] |= 1 << (row & 63)
			}
		}
		var s shares
		s.estimate(r, mask, float32(count(mask))/n)
		for g, share := range s.share {
			want := c.likely
			if want == 0 && g%4 == 0 {
				want = 1
			}
			if math.Abs(float64(share)-want) > .1 {
				t.Errorf("%s, group %d: got share %v, want %v", c.what, g, share, want)
			}
			if penalty := float64(s.penalty[g]); share > leastShare && math.Abs(math.Exp(-penalty/2)-float64(share)) > 1e-4 {
				t.Errorf("%s, group %d: got penalty %v of share %v", c.what, g, penalty, share)
			}
		}
	}
}

// What rises is expected to hold less, and a bucket that is moved in parts holds what it held.
func TestBucket(t *testing.T) {
	var b, half bucket
	b.add(10, 1.5, 2)
	b.add(30, 2.5, 1)
	whole := b.hold()
	if want := 40 * math.Erfc(2.25/math.Sqrt2) / 2; math.Abs(float64(whole)-want) > .05*want {
		t.Errorf("got %v, want %v", whole, want)
	}
	b.move(.25, &half)
	if got := half.hold(); math.Abs(float64(got-whole/4)) > .01 {
		t.Errorf("a quarter: got %v of %v", got, whole)
	}
	if got := half.hold() + b.hold(); math.Abs(float64(got-whole)) > .01 {
		t.Errorf("together: got %v, want %v", got, whole)
	}
	if got := new(bucket).hold(); got != 0 {
		t.Errorf("nothing: got %v, want 0", got)
	}
}

func TestAbove(t *testing.T) {
	for z := float32(-9); z < 13; z += .037 {
		want := math.Erfc(float64(min(max(z, aboveFrom), aboveTo))/math.Sqrt2) / 2
		if got := float64(above(z)); math.Abs(got-want) > .007 {
			t.Errorf("above %v: got %v, want %v", z, got, want)
		}
	}
	if got := above(float32(math.NaN())); got != 1 {
		t.Errorf("above NaN: got %v, want 1", got)
	}
}
