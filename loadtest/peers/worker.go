package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// params are the sizes of a job, by name.
type params map[string]int

// request asks a worker to time a job. A worker answers each line with one line, in order.
type request struct {
	Job     string `json:"job"`
	Params  params `json:"params"`
	Batches int    `json:"batches"` // how many times to measure
}

// reply carries the seconds that one operation took, for each batch; or what went wrong.
type reply struct {
	Seconds []float64 `json:"seconds,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// hello is the first line of a worker: what it runs, for the report.
type hello struct {
	Name string `json:"name"`
}

// worker is one side of a comparison. It is not safe for concurrent use.
type worker struct {
	Name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// startWorker starts a program that speaks the protocol and waits for its first line. env adds to
// this process's environment. Close ends it.
func startWorker(ctx context.Context, env []string, program string, args ...string) (*worker, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	w := &worker{cmd: cmd, in: in, out: bufio.NewReader(out)}
	var h hello
	if err := w.read(&h); err != nil {
		return nil, errors.Join(fmt.Errorf("first line of %s: %w", program, err), w.Close())
	}
	w.Name = h.Name
	return w, nil
}

// ask sends one line and reads one.
func (w *worker) ask(question, answer any) error {
	line, err := json.Marshal(question)
	if err != nil {
		return err
	}
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		return err
	}
	return w.read(answer)
}

// Time runs a job and returns the seconds an operation took in each batch.
func (w *worker) Time(r request) ([]float64, error) {
	var a reply
	if err := w.ask(r, &a); err != nil {
		return nil, fmt.Errorf("%s, job %s: %w", w.Name, r.Job, err)
	}
	if a.Error != "" {
		return nil, fmt.Errorf("%s, job %s: %s", w.Name, r.Job, a.Error)
	}
	if len(a.Seconds) == 0 {
		return nil, fmt.Errorf("%s, job %s: no measurement", w.Name, r.Job)
	}
	return a.Seconds, nil
}

// Close ends the worker by closing its input and waits for it.
func (w *worker) Close() error {
	return errors.Join(w.in.Close(), w.cmd.Wait())
}

func (w *worker) read(v any) error {
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}
