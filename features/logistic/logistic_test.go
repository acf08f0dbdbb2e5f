package logistic_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features/logistic"
)

// drawn is n rows of two columns and the level, and what happened by chances of
// the given weights.
func drawn(n int, weights []float64) (rows [][]float64, want []float64) {
	r := rand.New(rand.NewPCG(1, 1))
	for range n {
		x := []float64{r.NormFloat64(), r.NormFloat64(), 1}
		rows = append(rows, x)
		happened := 0.0
		if r.Float64() < logistic.Chance(logistic.Dot(weights, x)) {
			happened = 1
		}
		want = append(want, happened)
	}
	return rows, want
}

func TestFitFindsWhatItWasDrawnFrom(t *testing.T) {
	truth := []float64{1.5, -.7, -.4}
	rows, want := drawn(20_000, truth)
	for j, w := range logistic.Fit(rows, want, nil, 1) {
		if math.Abs(w-truth[j]) > .08 {
			t.Errorf("weight %d is %.3f, drawn from %.3f", j, w, truth[j])
		}
	}
}

// At the least penalised loss the slope of each weight is that of its penalty.
func TestFitIsTheMinimum(t *testing.T) {
	const penalty = 3
	rows, want := drawn(300, []float64{1, 2, 3})
	counts := make([]float64, len(rows))
	for i := range counts {
		counts[i] = 1 + float64(i%4)
	}
	weights := logistic.Fit(rows, want, counts, penalty)
	for j, w := range weights {
		slope := 0.0
		for i, x := range rows {
			slope += counts[i] * (want[i] - logistic.Chance(logistic.Dot(weights, x))) * x[j]
		}
		if j < len(weights)-1 {
			slope -= penalty * w
		}
		if math.Abs(slope) > 1e-5 {
			t.Errorf("slope of weight %d is %g at the end", j, slope)
		}
	}
}

// A row that counts twice is the row given twice.
func TestCountsAreRepeats(t *testing.T) {
	rows, want := drawn(100, []float64{1, -1, 0})
	counts := make([]float64, len(rows))
	twice, wantTwice := rows, want
	for i := range counts {
		counts[i] = 1
		if i%3 == 0 {
			counts[i] = 2
			twice, wantTwice = append(twice, rows[i]), append(wantTwice, want[i])
		}
	}
	once, repeated := logistic.Fit(rows, want, counts, 1), logistic.Fit(twice, wantTwice, nil, 1)
	for j := range once {
		if math.Abs(once[j]-repeated[j]) > 1e-9 {
			t.Errorf("weight %d is %g counted, %g repeated", j, once[j], repeated[j])
		}
	}
}

// Rows of one kind only, and columns that part the kinds without error, have
// finite weights all the same.
func TestFitWithoutDoubt(t *testing.T) {
	rows := [][]float64{{-1, 1}, {-2, 1}, {1, 1}, {2, 1}}
	for _, want := range [][]float64{{0, 0, 1, 1}, {1, 1, 1, 1}, {0, 0, 0, 0}} {
		for j, w := range logistic.Fit(rows, want, nil, 1) {
			if math.IsNaN(w) || math.IsInf(w, 0) {
				t.Errorf("%v: weight %d is %g", want, j, w)
			}
		}
	}
}

// AUC beside its meaning, counted pair by pair.
func TestAUC(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 50 {
		n := 2 + r.IntN(40)
		scores, happened, places := make([]float64, n), make([]bool, n), make([]int, n)
		for i := range n {
			scores[i], happened[i], places[i] = float64(r.IntN(6)), r.IntN(2) == 0, r.IntN(n)
		}
		wins, pairs := 0.0, 0.0
		for _, a := range places {
			for _, b := range places {
				if !happened[a] || happened[b] {
					continue
				}
				pairs++
				switch {
				case scores[a] > scores[b]:
					wins++
				case scores[a] == scores[b]:
					wins += .5
				}
			}
		}
		got, want := logistic.AUC(scores, happened, places), wins/pairs
		if math.Abs(got-want) > 1e-12 || math.IsNaN(got) != math.IsNaN(want) {
			t.Fatalf("AUC is %g, by pairs %g", got, want)
		}
	}
}
