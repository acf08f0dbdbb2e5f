package profile

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
)

// crowd is shoppers of whom one in five buys often and dear.
func crowd(n int) (ps []*features.Profile, member []bool) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range n {
		in := rng.IntN(5) == 0
		p := &features.Profile{Orders: 1 + rng.IntN(6), Spent: 10 + 100*rng.Float64(), RecencyDays: 200 * rng.Float64(), PriceLevel: .3 + .2*rng.Float64()}
		if in {
			p.Orders, p.Spent, p.PriceLevel = 5+rng.IntN(8), 300+300*rng.Float64(), .6+.3*rng.Float64()
		}
		ps, member = append(ps, p), append(member, in)
	}
	return ps, member
}

func TestClassifierFindsTheMembers(t *testing.T) {
	ps, member := crowd(2000)
	c, err := Train(ps, member)
	if err != nil {
		t.Fatal(err)
	}
	if c.AUC < .97 || c.Precision < .9 || c.Recall < .9 {
		t.Errorf("got AUC %.3f, precision %.3f, recall %.3f on shoppers apart as day and night", c.AUC, c.Precision, c.Recall)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var again Classifier
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, p := range ps {
		if c.Of(p) != again.Of(p) {
			t.Fatalf("shopper %d: a model that was written and read says otherwise", i)
		}
		if c.Of(p) == member[i] {
			right++
		}
	}
	if right < 1900 {
		t.Errorf("got %d of %d right, want at least 1900", right, len(ps))
	}
}

func TestClassifierLearnsNothingFromChance(t *testing.T) {
	ps, _ := crowd(2000)
	rng := rand.New(rand.NewPCG(9, 9))
	member := make([]bool, len(ps))
	for i := range member {
		member[i] = rng.IntN(4) == 0
	}
	c, err := Train(ps, member)
	if err != nil {
		t.Fatal(err)
	}
	if c.AUC < .42 || c.AUC > .58 {
		t.Errorf("got AUC %.3f on members drawn by lot, want about .5: it is not judged on shoppers it did not see", c.AUC)
	}
}

func TestClassifierNeedsExamples(t *testing.T) {
	ps, _ := crowd(100)
	member := make([]bool, len(ps))
	member[3] = true
	if _, err := Train(ps, member); !errors.Is(err, ErrSegment) {
		t.Errorf("got %v, want ErrSegment for one example", err)
	}
	if err := json.Unmarshal([]byte(`{"weights":[1]}`), new(Classifier)); !errors.Is(err, ErrSegment) {
		t.Errorf("got %v, want ErrSegment for a model of other fields", err)
	}
}

func TestClustersSurviveJSON(t *testing.T) {
	ps, _ := crowd(600)
	c, err := Fit(ps, 2, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var again Clusters
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	for i, p := range ps {
		if c.Of(p) != again.Of(p) {
			t.Fatalf("shopper %d: in cluster %d before and %d after", i, c.Of(p), again.Of(p))
		}
	}
	if err := json.Unmarshal([]byte(`{"centres":[[1]]}`), &again); !errors.Is(err, ErrSegment) {
		t.Errorf("got %v, want ErrSegment for clusters of other fields", err)
	}
}
