package pace_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-rec/attune/features/pace"
)

// makes so many steps of a tenth of a millisecond each and says how long all of
// it took.
func makes(j *pace.Job, steps int) time.Duration {
	began := time.Now()
	for range steps {
		time.Sleep(100 * time.Microsecond) // in the bubble: work
		j.Step()
	}
	return time.Since(began)
}

func TestAJobTakesAQuarterOfAProcessorOnceOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const steps, alone = 6400, 640 * time.Millisecond
		var p pace.Pacer
		var none *pace.Pacer
		paced := pace.With(t.Context(), &p)
		if got := makes(p.Job(), steps); got != alone {
			t.Errorf("nobody waits: got %v, want %v", got, alone)
		}
		p.Rest()
		if got := makes(p.Job(), steps); got != 4*alone {
			t.Errorf("others wait: got %v, want %v", got, 4*alone)
		}
		if got := makes(pace.Of(paced), steps); got != 4*alone {
			t.Errorf("of a context: got %v, want %v", got, 4*alone)
		}
		for _, j := range []*pace.Job{none.Job(), pace.Of(context.Background()), pace.Of(pace.With(t.Context(), none))} {
			if got := makes(j, steps); got != alone {
				t.Errorf("nobody paces: got %v, want %v", got, alone)
			}
		}
	})
}

func TestARestIsThreeTimesAsLongAsTheStretch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace.Pacer
		p.Rest()
		for _, c := range []struct{ work, rest time.Duration }{
			{500 * time.Microsecond, 0}, {7 * time.Millisecond, 21 * time.Millisecond}, {time.Second, 60 * time.Millisecond},
		} {
			j := p.Job()
			time.Sleep(c.work)
			began := time.Now()
			j.Look()
			if got := time.Since(began); got != c.rest {
				t.Errorf("after %v of work: got a rest of %v, want %v", c.work, got, c.rest)
			}
		}
	})
}

func TestAJobRestsOnWhileAnswersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace.Pacer
		p.Rest()
		for _, c := range []struct {
			waiting int // looks that say so
			rests   int
		}{{0, 1}, {1, 2}, {4, 5}, {1000, 11}} {
			left := c.waiting
			p.While(func() bool {
				left--
				return left >= 0
			})
			j := p.Job()
			time.Sleep(2 * time.Millisecond)
			began := time.Now()
			j.Look()
			if got, want := time.Since(began), time.Duration(c.rests)*6*time.Millisecond; got != want {
				t.Errorf("answers wait for %d looks: got a rest of %v, want %v", c.waiting, got, want)
			}
		}
	})
}
