package hybrid

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// mixed is cases whose candidates are found by 2·a + b; c says nothing.
func mixed(cases int) []list {
	rng := rand.New(rand.NewPCG(8, 9))
	lists := make([]list, cases)
	for i := range lists {
		l := &lists[i]
		best, at := math.Inf(-1), 0
		for j := range 30 {
			a, b, c := rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()
			l.x, l.good = append(l.x, float32(a), float32(b), float32(c)), append(l.good, false)
			if v := 2*a + b; v > best {
				best, at = v, j
			}
		}
		l.good[at], l.ideal = true, 1
	}
	return lists
}

func TestLinearWeightsFindTheMixture(t *testing.T) {
	for _, cases := range []int{100, 5000} {
		w, formula, err := linearWeights(mixed(cases), []string{"a", "b", "c"})
		if err != nil {
			t.Fatal(err)
		}
		if ratio := w[0] / w[1]; ratio < 1.5 || ratio > 2.7 || w[2] > .2*w[1] {
			t.Errorf("%d cases: got weights %v, want 2 : 1 : 0", cases, w)
		}
		if !strings.Contains(formula, "a*") {
			t.Errorf("got formula %q, want one that names the parts", formula)
		}
	}
}

func TestRowsAreCapped(t *testing.T) {
	if rows := aggregate(mixed(5000), 3); len(rows) != mostRows {
		t.Errorf("got %d rows of 5000 cases, want %d", len(rows), mostRows)
	}
	if _, _, err := regress(make([]row, mostRows+1), []string{"a"}, []int{0}); err == nil {
		t.Error("got no error for too many rows")
	}
}

func TestLinearRefusesWhatHasNoSolution(t *testing.T) {
	lists := mixed(50)
	for i := range lists {
		for j := range lists[i].good {
			lists[i].x[3*j+2] = lists[i].x[3*j] // c says what a says
		}
	}
	if w, _, err := linearWeights(lists, []string{"a", "b", "c"}); !errors.Is(err, ErrUnsolvable) {
		t.Errorf("got %v, %v, want ErrUnsolvable for two equal parts", w, err)
	}
	lists[0].x[0] = float32(math.NaN())
	if _, _, err := linearWeights(lists, []string{"a", "b", "c"}); !errors.Is(err, ErrUnsolvable) {
		t.Errorf("got %v, want ErrUnsolvable for NaN", err)
	}
	if _, _, err := linearWeights(lists[1:2], []string{"a", "b", "c"}); !errors.Is(err, ErrNothingToLearn) {
		t.Errorf("got %v, want ErrNothingToLearn for one case", err)
	}
}
