package hybrid

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/popular"
)

// kinds are those that few interactions are tried with.
func kinds(name string) (models.Kind, error) {
	for _, k := range []models.Kind{popular.Kind(), mf.IALS(), knn.EASE(), knn.Path()} {
		if k.Name == name {
			return k, nil
		}
	}
	return models.Kind{}, fmt.Errorf("%w: kind %q", models.ErrParams, name)
}

// histories is a shop of users with so many events each, of 12 items.
func histories(users, events int, timed bool) *dataset.Dataset {
	var b dataset.Builder
	for u := range users {
		for k := range events {
			it := features.Interaction{Type: features.Purchase, Quantity: 1}
			if timed {
				it.TimeMS = int64(1_600_000_000_000 + k*86_400_000)
			}
			b.Add(fmt.Sprint("u", u), fmt.Sprint("i", (u*3+k*k)%12), "", it)
		}
	}
	return b.Build()
}

// TestScantDataIsHeldOutInTurn wants several held-out parts where there are few
// cases, and one where there are enough.
func TestScantDataIsHeldOutInTurn(t *testing.T) {
	for _, c := range []struct {
		users, events int
		timed         bool
		want          string
	}{
		{40, 6, false, ", 4 times"}, {40, 6, true, ", 4 times"},
		{40, 4, true, ", 2 times"}, // nobody has three events left for a third
		{2200, 4, true, ""},
	} {
		d := histories(c.users, c.events, c.timed)
		m, err := Fit(context.Background(), models.FitInput{Train: d, Seed: 1, Workers: 1, Kinds: kinds})
		if err != nil {
			t.Fatal(err)
		}
		got := m.(*Model).Story().HeldOut
		if _, times, _ := strings.Cut(got, " on"); c.want == "" && strings.Contains(times, "times") || !strings.HasSuffix(got, c.want) {
			t.Errorf("%d users of %d events, timed %t: held out %q, want it to end in %q", c.users, c.events, c.timed, got, c.want)
		}
	}
}

// TestNothingUnknownIsAskedFor wants no item in what is to be found that nobody
// has in what is trained on, unless there are words.
func TestNothingUnknownIsAskedFor(t *testing.T) {
	var b dataset.Builder
	for u := range 30 {
		for k := range 4 {
			b.Add(fmt.Sprint(u), fmt.Sprint(u*(k/3), "-", k), "", features.Interaction{Type: features.Purchase, TimeMS: int64(k + 1)})
		}
	}
	d := b.Build()
	weights := models.DefaultWeights()
	f := survey(d)
	if _, truth, _ := f.holdOut(d, &weights, 1); len(truth.Log) != 0 {
		t.Errorf("got %d items to be found that nobody else has, want none", len(truth.Log))
	}
	f.Words = true
	if _, truth, _ := f.holdOut(d, &weights, 1); len(truth.Log) != 30 {
		t.Errorf("with words: got %d items to be found, want 30", len(truth.Log))
	}
}

// TestUsersOfTwoEventsTakePart where hardly anybody has more.
func TestUsersOfTwoEventsTakePart(t *testing.T) {
	weights := models.DefaultWeights()
	for _, c := range []struct{ two, three, want int }{{50, 5, 55}, {50, sure, sure}} {
		var b dataset.Builder
		for u := range c.two + c.three {
			for k := range 3 {
				if k < 2 || u >= c.two {
					b.Add(fmt.Sprint(u), fmt.Sprint(k), "", features.Interaction{Type: features.Purchase, TimeMS: int64(k + 1)})
				}
			}
		}
		d := b.Build()
		train, _, _ := survey(d).holdOut(d, &weights, 1)
		if got := len(d.Log) - len(train.Log); got != c.want {
			t.Errorf("%d users of two events, %d of three: %d events are held out, want %d", c.two, c.three, got, c.want)
		}
	}
}

// TestLittleDataTrustsLittleThatIsLearnt has what learns many numbers weigh
// less than walks and popularity of scant data, and as much as ever of plenty.
func TestLittleDataTrustsLittleThatIsLearnt(t *testing.T) {
	weight := func(pairs int, name string) float64 {
		f := Facts{Users: 100, Items: 200, Pairs: pairs, Density: .05}
		for _, c := range candidates(f, Defaults()) {
			if c.Name == prefix+name {
				return c.prior
			}
		}
		t.Fatalf("%d interactions: no candidate %s", pairs, name)
		return 0
	}
	for _, c := range []struct {
		pairs int
		want  bool
	}{{500, true}, {5000, true}, {plenty, false}, {10 * plenty, false}} {
		if got := weight(c.pairs, "ease") < weight(c.pairs, "paths"); got != c.want {
			t.Errorf("%d interactions: ease is expected to weigh less than walks: %t, want %t", c.pairs, got, c.want)
		}
	}
	if got := weight(plenty, "popular"); got < .0199 || got > .0201 {
		t.Errorf("of plenty popularity is expected to weigh %v, want .02", got)
	}
}
