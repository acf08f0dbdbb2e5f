package sequence

import (
	"math"
	"math/rand/v2"
	"sort"

	"github.com/attune-rec/attune/models/nn"
)

// sampler draws the items that targets are held against, more often those that
// are met more often. It belongs to one goroutine.
type sampler struct {
	n          int
	cumulative []float64 // of the probabilities
	expected   []float32 // logarithm of how often an item is among n draws
	items      []int32
	logQ       []float32
}

// flatten is the exponent on an item's count: between evenly and as met.
const flatten = .75

func newSampler(counts []int, n int) *sampler {
	s := &sampler{n: n, cumulative: make([]float64, len(counts)), expected: make([]float32, len(counts))}
	total := 0.
	for i, c := range counts {
		total += math.Pow(float64(c+1), flatten)
		s.cumulative[i] = total
	}
	for i, c := range counts {
		s.cumulative[i] /= total
		s.expected[i] = float32(math.Log(float64(n) * math.Pow(float64(c+1), flatten) / total))
	}
	return s
}

// draw gives each target a row of items, the target first, and the corrections
// of nn.SampledSoftmax: none for the target, which is always there, so that the
// sum over the row is in expectation the one over the catalogue. The samples
// are one draw for the batch.
func (s *sampler) draw(targets []int32, seed uint64) ([]int32, []float32) {
	rng := rand.New(rand.NewPCG(seed, 0))
	samples := make([]int32, s.n)
	for i := range samples {
		samples[i] = int32(min(sort.SearchFloat64s(s.cumulative, rng.Float64()), len(s.cumulative)-1))
	}
	s.items, s.logQ = s.items[:0], s.logQ[:0]
	for _, target := range targets {
		s.items, s.logQ = append(s.items, target), append(s.logQ, 0)
		for _, item := range samples {
			s.items, s.logQ = append(s.items, item), append(s.logQ, s.expected[item])
		}
	}
	return s.items, s.logQ
}

// spare takes the samples that are the row's target out of the running.
func (s *sampler) spare(scores nn.Mat[float32], items []int32) {
	for i := range scores.Rows {
		row, of := scores.Row(i), items[i*scores.Cols:][:scores.Cols]
		for j := 1; j < len(row); j++ {
			if of[j] == of[0] {
				row[j] = float32(math.Inf(-1))
			}
		}
	}
}
