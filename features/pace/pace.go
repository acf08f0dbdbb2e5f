// Package pace keeps work that nobody waits for from taking a processor from
// those who do: it rests now and then, so that what came in meanwhile is done,
// and takes a quarter of a processor at most.
//
// Go's scheduler gives a goroutine that only computes ten milliseconds at a
// time, and looks at the network only when nothing else is to be run.
//
// It imports the standard library. Start reading at Pacer.
package pace

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	work    = time.Millisecond      // at a stretch
	rest    = 3                     // times as long as it worked
	longest = 60 * time.Millisecond // rest
	more    = 10                    // rests of the same length while answers wait
	every   = 8                     // steps between two looks at the clock
)

// Pacer is how a program's jobs go on: at full speed until someone waits for
// answers, with rests from then on. The zero value is at full speed; nil always
// is. It is safe for concurrent use.
type Pacer struct {
	resting atomic.Bool
	behind  atomic.Pointer[func() bool]
}

// Rest makes all jobs rest from now on.
func (p *Pacer) Rest() { p.resting.Store(true) }

// While makes jobs that rest go on resting as long as behind says that answers
// wait, for a while at most: they get somewhere also where answers always wait.
// Garbage being collected takes half of two processors, and a job's quarter on
// top may be what is one too many.
func (p *Pacer) While(behind func() bool) { p.behind.Store(&behind) }

type key struct{}

// With returns a context whose jobs p paces.
func With(ctx context.Context, p *Pacer) context.Context {
	if p == nil {
		return ctx
	}
	return context.WithValue(ctx, key{}, p)
}

// Of begins a job of a context, at full speed where nobody paces it.
func Of(ctx context.Context) *Job {
	p, _ := ctx.Value(key{}).(*Pacer)
	return p.Job()
}

// Job begins a job.
func (p *Pacer) Job() *Job { return &Job{pacer: p, began: time.Now()} }

// Job is one piece of work; nil is one at full speed. It is used by one goroutine.
type Job struct {
	pacer *Pacer
	steps int
	began time.Time // the stretch
}

// Step is called after each of many small steps, and costs next to nothing.
func (j *Job) Step() {
	if j == nil {
		return
	}
	if j.steps++; j.steps%every == 0 {
		j.Look()
	}
}

// Look is called after a step that may take a while: it rests three times
// as long as the stretch took.
func (j *Job) Look() {
	if j == nil || j.pacer == nil || !j.pacer.resting.Load() {
		return
	}
	if d := time.Since(j.began); d >= work {
		d = min(rest*d, longest)
		time.Sleep(d)
		if behind := j.pacer.behind.Load(); behind != nil {
			for i := 0; i < more && (*behind)(); i++ {
				time.Sleep(d)
			}
		}
		j.began = time.Now()
	}
}
