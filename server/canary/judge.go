// Package canary goes back by itself from a release that does worse than the
// one beside it: more answers that fail, come late or are empty. It judges a
// canary by what the other shoppers receive meanwhile, and a release that was
// promoted to all by what the one before it did just before.
//
// Limits.Judge decides, without a clock; Watcher counts and acts. It imports
// features, models/release and prometheus. Start reading at Judge.
package canary

import (
	"fmt"
	"math"
	"time"
)

// Outcome is what became of one question.
type Outcome struct {
	Took   time.Duration
	Cold   bool // among the first answers of a release: Took says nothing of the later ones
	Failed bool // no answer, or one that a part did not do its part for
	Empty  bool
}

// Limits are by how much a release may do worse. The zero value suits.
//
// A share of answers is worse when it is above the other release's by more than
// the limit, and when that is no chance: by Fisher's exact test, one-sided, at the
// level of three standard deviations, on Least answers at least.
type Limits struct {
	Least  int           // answers of the release before it is judged; 0: 100
	Failed float64       // share; 0: .02
	Empty  float64       // share; 0: .05
	Late   float64       // share of answers that take longer than Slower allows; 0: .1
	Slower float64       // times the 95th percentile of the other release; 0: 2
	Slack  time.Duration // longer than that, which nobody minds; 0: 10 ms
}

// Causes of a verdict.
const (
	CauseFailed = "failed"
	CauseEmpty  = "empty"
	CauseLate   = "late"
)

// level is the chance that is taken for none: beyond three standard deviations, on
// one side.
const level = .00135

// Verdict is why a release has to go.
type Verdict struct {
	Cause string // "" when it may stay
	Text  string // with the figures
}

func (l Limits) defaults() Limits {
	if l.Least <= 0 {
		l.Least = 100
	}
	if l.Failed <= 0 {
		l.Failed = .02
	}
	if l.Empty <= 0 {
		l.Empty = .05
	}
	if l.Late <= 0 {
		l.Late = .1
	}
	if l.Slower <= 0 {
		l.Slower = 2
	}
	if l.Slack <= 0 {
		l.Slack = 10 * time.Millisecond
	}
	return l
}

// Judge compares a release with the one it has to be as good as. Where that has
// no answers to compare with, it counts as flawless, and lateness is not judged;
// nor is it by cold answers.
func (l Limits) Judge(release, other *Tally) Verdict {
	l = l.defaults()
	if release.n < int64(l.Least) {
		return Verdict{}
	}
	for _, c := range []struct {
		cause    string
		limit    float64
		got, had int64
	}{{CauseFailed, l.Failed, release.failed, other.failed}, {CauseEmpty, l.Empty, release.empty, other.empty}} {
		if worse(c.got, release.n, c.had, other.n, c.limit) {
			return verdict(c.cause, c.got, release.n, c.had, other.n)
		}
	}
	if release.timed < int64(l.Least) || other.timed < int64(l.Least) {
		return Verdict{}
	}
	bound := time.Duration(l.Slower*float64(other.percentile(.95))) + l.Slack
	got, had := release.over(bound), other.over(bound)
	if worse(got, release.timed, had, other.timed, l.Late) {
		v := verdict(CauseLate, got, release.timed, had, other.timed)
		v.Text += fmt.Sprintf(" (over %v)", bound.Round(100*time.Microsecond))
		return v
	}
	return Verdict{}
}

func verdict(cause string, got, n, had, m int64) Verdict {
	return Verdict{cause, fmt.Sprintf("%s: %d of %d answers, against %d of %d", cause, got, n, had, m)}
}

// worse tells whether got of n is a larger share than had of m, by more than
// limit and more than chance.
func worse(got, n, had, m int64, limit float64) bool {
	p, q := float64(got)/float64(n), 0.
	if m > 0 {
		q = float64(had) / float64(m)
	}
	if p-q <= limit {
		return false
	}
	if m == 0 {
		m = n
	}
	return chance(got, n, had, m) < level
}

// chance is how likely it is that, of the got+had among n+m, as many as got fall to
// n, or more (Fisher, 1922). A test by deviations takes three failures of a hundred
// against two of a thousand for none.
func chance(got, n, had, m int64) float64 {
	all := got + had
	term := math.Exp(choose(n, got) + choose(m, had) - choose(n+m, all)) // of exactly got
	sum := 0.
	for k := got; k <= min(n, all); k++ {
		if sum += term; term < sum*1e-9 {
			break // they fall ever faster beyond the middle, where got is
		}
		term *= float64(n-k) / float64(k+1) * float64(all-k) / float64(m-all+k+1)
	}
	return sum
}

// choose is the logarithm of n over k.
func choose(n, k int64) float64 {
	factorial := func(n int64) float64 {
		l, _ := math.Lgamma(float64(n) + 1)
		return l
	}
	return factorial(n) - factorial(k) - factorial(n-k)
}
