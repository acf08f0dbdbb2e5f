package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// job is a piece of work to be timed: run does all of its operations once; reset, when not nil,
// restores the input between runs and is not timed.
type job struct {
	run, reset func()
	ops        int // operations a run
}

// jobMaker builds a job of the given sizes; its data comes from a fixed seed.
type jobMaker func(p params) (job, error)

type serveCmd struct {
	Set string `arg:"" enum:"kernels,neural" help:"The jobs to serve."`
}

func (c *serveCmd) Run() error {
	runtime.LockOSThread()
	sets := map[string]jobSet{"kernels": kernelJobs(), "neural": neuralJobs()}
	return serve(os.Stdin, os.Stdout, sets[c.Set])
}

// jobSet is what our side of a comparison can do.
type jobSet struct {
	name string
	jobs map[string]jobMaker
}

// serve answers requests until the input ends. Jobs are built once and kept.
func serve(in io.Reader, out io.Writer, set jobSet) error {
	enc := json.NewEncoder(out)
	if err := enc.Encode(hello{Name: set.name}); err != nil {
		return err
	}
	built := map[string]job{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		a := reply{}
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			a.Error = err.Error()
		} else if j, err := set.build(r, built); err != nil {
			a.Error = err.Error()
		} else {
			a.Seconds = measure(j, r.Batches)
		}
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (s jobSet) build(r request, built map[string]job) (job, error) {
	key := fmt.Sprint(r.Job, r.Params)
	if j, ok := built[key]; ok {
		return j, nil
	}
	maker, ok := s.jobs[r.Job]
	if !ok {
		return job{}, fmt.Errorf("unknown job %q", r.Job)
	}
	j, err := maker(r.Params)
	if err == nil {
		built[key] = j
	}
	return j, err
}

// batchTime is how long a batch lasts at least: long against the clock, short against the slices
// of the scheduler, so that most batches run undisturbed on a busy machine.
const batchTime = 200 * time.Microsecond

// measure returns the seconds an operation took in each batch, after one to warm up.
func measure(j job, batches int) []float64 {
	seconds := make([]float64, 0, batches)
	for b := range batches + 1 {
		var spent time.Duration
		ops := 0
		for spent < batchTime {
			if j.reset != nil {
				j.reset()
			}
			t := time.Now()
			j.run()
			spent += time.Since(t)
			ops += j.ops
		}
		if b > 0 {
			seconds = append(seconds, spent.Seconds()/float64(ops))
		}
	}
	return seconds
}
