package eval

import (
	"encoding/csv"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/attune-rec/attune/features/dataset"
)

// With known rewards, every estimate of another policy holds its true value,
// and the doubly robust one with the true model is the tightest.
func TestOffPolicyFindsTheTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 4))
	production, other := []float64{.25, .25, .25, .25}, []float64{.1, .1, .1, .7}
	reward := []float64{.1, .2, .3, .6}
	truth := 0.
	for a := range other {
		truth += other[a] * reward[a]
	}
	log := make([]Decision, 4_000)
	for i := range log {
		a := rng.IntN(4)
		log[i] = Decision{Action: a, Propensity: production[a]}
		if rng.Float64() < reward[a] {
			log[i].Reward = 1
		}
	}
	policy := func(_ int, dst []float64) { copy(dst, other) }
	q := func(_ int, dst []float64) { copy(dst, reward) }
	est, err := OffPolicy(log, 4, policy, q, 0, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]Estimate{"IPS": est.IPS, "SNIPS": est.SNIPS, "DR": est.DR} {
		if e.Low > truth || e.High < truth || e.Low > e.Value || e.High < e.Value {
			t.Errorf("%s: got %+v, want %v within", name, e, truth)
		}
	}
	if est.Replay.Low > .6 || est.Replay.High < .6 || est.Matched < 900 || est.Matched > 1_100 {
		t.Errorf("got replay %+v over %d decisions, want .6", est.Replay, est.Matched)
	}
	if dr, ips := est.DR.High-est.DR.Low, est.IPS.High-est.IPS.Low; dr >= ips {
		t.Errorf("got a doubly robust interval of %v, no tighter than %v of IPS", dr, ips)
	}
	if math.Abs(est.MaxWeight-2.8) > 1e-12 {
		t.Errorf("got largest weight %v, want 2.8", est.MaxWeight)
	}
	same, err := OffPolicy(log, 4, func(_ int, dst []float64) { copy(dst, production) }, nil, 0, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	earned := 0.
	for _, d := range log {
		earned += d.Reward / float64(len(log))
	}
	if math.Abs(same.IPS.Value-earned) > 1e-9 || math.Abs(same.SNIPS.Value-earned) > 1e-9 || math.Abs(same.Effective-4_000) > 1e-6 {
		t.Errorf("production itself: got %+v, want %v", same, earned)
	}
	clipped, err := OffPolicy(log, 4, policy, nil, 1, 1, 1)
	if err != nil || clipped.IPS.Value >= est.IPS.Value {
		t.Errorf("clipped: got %+v, %v, want less than %v", clipped.IPS, err, est.IPS.Value)
	}
}

func TestOffPolicyRefuses(t *testing.T) {
	fair := func(_ int, dst []float64) { dst[0], dst[1] = .5, .5 }
	for name, c := range map[string]struct {
		d Decision
		p Policy
	}{
		"action":      {Decision{Action: 2, Propensity: 1}, fair},
		"propensity":  {Decision{Action: 1}, fair},
		"reward":      {Decision{Action: 1, Propensity: 1, Reward: math.NaN()}, fair},
		"policy":      {Decision{Action: 1, Propensity: 1}, func(_ int, dst []float64) { dst[0], dst[1] = .5, .6 }},
		"probability": {Decision{Action: 1, Propensity: 1}, func(_ int, dst []float64) { dst[0], dst[1] = 1.5, -.5 }},
	} {
		if _, err := OffPolicy([]Decision{c.d}, 2, c.p, nil, 0, 1, 1); !errors.Is(err, ErrLog) {
			t.Errorf("%s: got %v, want ErrLog", name, err)
		}
	}
	if _, err := OffPolicy(nil, 2, fair, nil, 0, 1, 1); !errors.Is(err, ErrLog) {
		t.Errorf("no log: got %v, want ErrLog", err)
	}
}

// bandit reads a log of the Open Bandit Dataset: decisions and their positions.
func bandit(t *testing.T, name string) ([]Decision, []int) {
	t.Helper()
	root := os.Getenv("ATTUNE_PUBLIC_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, "obp-small", name, "all", "all.csv.xz")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s: set ATTUNE_PUBLIC_DATA to the folder of public data sets", path)
	}
	f, err := dataset.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := csv.NewReader(f)
	header, err := in.Read()
	if err != nil {
		t.Fatal(err)
	}
	column := func(name string) int { return slices.Index(header, name) }
	item, position, click, propensity := column("item_id"), column("position"), column("click"), column("propensity_score")
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var log []Decision
	var positions []int
	for {
		r, err := in.Read()
		if err == io.EOF {
			return log, positions
		}
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, Decision{Action: int(number(r[item])), Reward: number(r[click]), Propensity: number(r[propensity])})
		positions = append(positions, int(number(r[position])))
	}
}

// A log of uniform choices says what Thompson sampling earns, which its own log
// tells: .0042 clicks a decision.
func TestOpenBandit(t *testing.T) {
	const actions = 80
	uniform, at := bandit(t, "random")
	sampling, where := bandit(t, "bts")
	counts := make([][]float64, 4)
	for p := range counts {
		counts[p] = make([]float64, actions)
	}
	total := make([]float64, 4)
	for i, d := range sampling {
		counts[where[i]][d.Action]++
		total[where[i]]++
	}
	policy := func(i int, dst []float64) {
		for a := range dst {
			dst[a] = counts[at[i]][a] / total[at[i]]
		}
	}
	est, err := OffPolicy(uniform, actions, policy, nil, 0, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	const truth = .0042
	for name, e := range map[string]Estimate{"IPS": est.IPS, "SNIPS": est.SNIPS} {
		if e.Low > truth || e.High < truth {
			t.Errorf("%s: got %+v, want %v within", name, e, truth)
		}
	}
	own, err := OffPolicy(uniform, actions, func(_ int, dst []float64) {
		for a := range dst {
			dst[a] = 1. / actions
		}
	}, nil, 0, 1, 2)
	if err != nil || math.Abs(own.IPS.Value-.0038) > 1e-9 {
		t.Errorf("uniform choice on its own log: got %+v, %v, want .0038", own.IPS, err)
	}
	t.Logf("Thompson sampling from the uniform log: IPS %.5f [%.5f, %.5f], SNIPS %.5f, effective size %.0f of %d",
		est.IPS.Value, est.IPS.Low, est.IPS.High, est.SNIPS.Value, est.Effective, len(uniform))
}
