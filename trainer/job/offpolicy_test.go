package job

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models/eval"
)

// bandit is a log of a policy that chooses among three actions by chances; the
// action k earns 1 in (k+1) of ten times.
func bandit(seed uint64, chances []float64) string {
	rng := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	b.WriteString("when,item_id,position,click,propensity_score\n")
	for i := range 6000 {
		at, action := rng.Float64(), 0
		for at > chances[action] && action < len(chances)-1 {
			at -= chances[action]
			action++
		}
		click := 0
		if rng.Float64() < float64(action+1)/10 {
			click = 1
		}
		fmt.Fprintf(&b, "%d,a%d,%d,%d,%g\n", i, action, 1+i%2, click, chances[action])
	}
	return b.String()
}

func offPolicy(t *testing.T, args ...string) offPolicyReport {
	t.Helper()
	out, _, err := call(t, append([]string{"offpolicy", "--json"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var r offPolicyReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func inside(t *testing.T, name string, e eval.Estimate, truth float64) {
	t.Helper()
	if truth < e.Low || truth > e.High {
		t.Errorf("%s: got %.4f [%.4f, %.4f], want the truth %.4f inside", name, e.Value, e.Low, e.High, truth)
	}
}

func TestOffPolicyFindsTheTruth(t *testing.T) {
	if raced.On {
		t.Skip("figures of one goroutine: fitting is watched where the log is fitted")
	}
	log := file(t, "even.csv", bandit(1, []float64{1. / 3, 1. / 3, 1. / 3}))
	other := file(t, "bold.csv", bandit(2, []float64{.1, .2, .7}))
	for policy, truth := range map[string]float64{"copy": .1*.1 + .2*.2 + .7*.3, "greedy": .3} {
		r := offPolicy(t, log, "--policy", policy, "--learn", other)
		if r.Decisions != 6000 || r.Actions != 3 {
			t.Errorf("%s: got %d decisions, %d actions, want 6000 and 3", policy, r.Decisions, r.Actions)
		}
		inside(t, policy+" IPS", r.Estimates.IPS, truth)
		inside(t, policy+" SNIPS", r.Estimates.SNIPS, truth)
		inside(t, policy+" DR", r.Estimates.DR, truth)
	}
	r := offPolicy(t, other)
	inside(t, "uniform DR", r.Estimates.DR, .2)
	inside(t, "uniform's log", r.Logged, .26)
}

func TestOffPolicyRefuses(t *testing.T) {
	log := file(t, "log.csv", bandit(1, []float64{.5, .5}))
	for want, args := range map[string][]string{
		"need --learn":       {log, "--policy", "greedy"},
		"no column":          {log, "--columns", "action=item,reward=click,propensity=propensity_score"},
		"names no action":    {log, "--columns", "reward=click,propensity=propensity_score"},
		"expected action":    {log, "--columns", "action=item_id,reward=click,propensity=propensity_score,place=x"},
		"line 2":             {file(t, "bad.csv", "item_id,click,propensity_score\na,yes,1\n")},
		"no decision":        {file(t, "none.csv", "item_id,click,propensity_score\n")},
		"a propensity above": {file(t, "zero.csv", "item_id,click,propensity_score\na,1,0\n")},
	} {
		if _, _, err := call(t, append([]string{"offpolicy"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got error %v, want one with %q", args[1:], err, want)
		}
	}
}

// TestOffPolicyOpenBandit asks the uniform log of the Open Bandit Dataset's
// sample what its Thompson sampling earns: .0042 by that policy's own log.
func TestOffPolicyOpenBandit(t *testing.T) {
	if raced.On {
		t.Skip("figures of one goroutine: fitting is watched where the log is fitted")
	}
	dir := os.Getenv("ATTUNE_PUBLIC_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	uniform, thompson := filepath.Join(dir, "obp-small/random/all/all.csv.xz"), filepath.Join(dir, "obp-small/bts/all/all.csv.xz")
	if _, err := os.Stat(uniform); err != nil {
		t.Skip("no Open Bandit sample: set ATTUNE_PUBLIC_DATA to the folder of public data sets")
	}
	r := offPolicy(t, uniform, "--policy", "copy", "--learn", thompson)
	inside(t, "IPS", r.Estimates.IPS, .0042)
	inside(t, "DR", r.Estimates.DR, .0042)
	if want := .0038; r.Logged.Value != want {
		t.Errorf("earned by the log's policy: got %v, want %v", r.Logged.Value, want)
	}
}
