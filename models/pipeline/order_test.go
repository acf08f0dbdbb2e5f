package pipeline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
)

// same compares candidates of which some scores are NaN.
func same(a, b []Candidate) bool {
	return slices.EqualFunc(a, b, func(x, y Candidate) bool {
		return x.Row == y.Row && x.Main == y.Main && math.Float32bits(x.Score) == math.Float32bits(y.Score)
	})
}

func TestSorterAgainstComparisons(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e-45, -1e-45, math.MaxFloat32, -math.MaxFloat32}
	var s sorter
	var spare []Candidate
	for round := range 300 {
		n := rng.IntN(600)
		cs := make([]Candidate, n)
		rows := rng.Perm(2000)
		for i := range cs {
			cs[i].Row = features.Row(rows[i])
			switch rng.IntN(4) {
			case 0:
				cs[i].Score = odd[rng.IntN(len(odd))]
			case 1:
				cs[i].Score = float32(rng.IntN(5) - 2)
			default:
				cs[i].Score = float32(rng.NormFloat64() * math.Exp(rng.NormFloat64()*10))
			}
			if round%10 == 0 {
				cs[i].Score = 7
			}
		}
		want := slices.Clone(cs)
		slices.SortFunc(want, byScore)
		var got []Candidate
		if got, spare = s.byScore(cs, spare); !same(got, want) {
			t.Fatalf("round %d: got %v, want %v", round, got, want)
		}
	}
}

func TestSorterInOrderAgainstComparisons(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var s sorter
	for round := range 300 {
		type where struct {
			place int32
			main  uint8
		}
		taken := map[where]bool{}
		var found []Candidate
		var places []int32
		for len(found) < round*2 {
			w := where{rng.Int32N(200), uint8(rng.IntN(MaxSources + 1))}
			switch rng.IntN(8) {
			case 0:
				w.place += 3 << 20
			case 1:
				w.place += rulesPlace
			}
			if !taken[w] {
				taken[w] = true
				found = append(found, Candidate{Row: features.Row(len(found)), Main: w.main})
				places = append(places, w.place)
			}
		}
		want := slices.Clone(found)
		slices.SortFunc(want, func(a, b Candidate) int {
			if c := int(places[a.Row]) - int(places[b.Row]); c != 0 {
				return c
			}
			return int(a.Main) - int(b.Main)
		})
		if got := s.inOrder(found, places, nil); !same(got, want) {
			t.Fatalf("round %d: got %v, want %v", round, got, want)
		}
	}
}

func BenchmarkOrder(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 6))
	from := make([]Candidate, 450)
	for i := range from {
		from[i] = Candidate{Row: features.Row(rng.IntN(100_000)), Score: rng.Float32()}
	}
	cs, spare := slices.Clone(from), []Candidate(nil)
	b.Run("digits", func(b *testing.B) {
		var s sorter
		for b.Loop() {
			copy(cs, from)
			cs, spare = s.byScore(cs, spare)
		}
	})
	b.Run("comparisons", func(b *testing.B) {
		for b.Loop() {
			copy(cs, from)
			slices.SortFunc(cs, byScore)
		}
	})
}
