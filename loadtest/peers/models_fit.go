package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/usage"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
)

// fitCmd trains one model in a process of its own, so that its CPU time and its
// memory can be told: a line of JSON in, a line out.
type fitCmd struct{}

// fitJob is what our side is asked for.
type fitJob struct {
	Kind   string          `json:"kind"`
	Folder string          `json:"folder"` // of the pairs
	Params json.RawMessage `json:"params"`
	Warm   json.RawMessage `json:"warm,omitempty"` // parameters of the model to start from
	Out    string          `json:"out,omitempty"`  // file for the vectors, or for the pairs of neighbours
}

// fitted is what either side answers.
type fitted struct {
	CPU    []float64 `json:"cpu"`     // seconds of user and system time, of each iteration, or of the whole
	Wall   []float64 `json:"wall"`    // seconds
	PeakMB float64   `json:"peak_mb"` // of the process
	BaseMB float64   `json:"base_mb"` // ours: before training began
	Total  float64   `json:"total"`   // ours: wall seconds of the whole training
	Spent  float64   `json:"spent"`   // ours: CPU seconds of the whole training
	Error  string    `json:"error,omitempty"`
}

func (c *fitCmd) Run(ctx context.Context) error {
	enc := json.NewEncoder(os.Stdout)
	if err := enc.Encode(hello{Name: "ours"}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var j fitJob
		err := json.Unmarshal(lines.Bytes(), &j)
		a := &fitted{}
		if err == nil {
			err = j.run(ctx, a)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (j *fitJob) run(ctx context.Context, a *fitted) error {
	k, err := kind.Of(j.Kind)
	if err != nil {
		return err
	}
	in := models.FitInput{Seed: 1} // and nobody else holds what is read, so that training may let go of it
	if in.Train, err = readPurchases(j.Folder); err != nil {
		return err
	}
	reading, err := statusMB("VmHWM")
	if err != nil {
		return err
	}
	if j.Warm != nil {
		// The peer is given the vectors to start from, so that making them is not
		// part of our peak.
		in.Params = j.Warm
		if in.Warm, err = k.Fit(ctx, in); err != nil {
			return err
		}
		debug.FreeOSMemory()
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
			return err
		}
	}
	debug.FreeOSMemory()
	if a.BaseMB, err = statusMB("VmRSS"); err != nil {
		return err
	}
	in.Params = j.Params
	var clock clock
	in.Progress = func(models.Progress) { clock.lap(a) }
	clock.start()
	begun := clock
	model, err := k.Fit(ctx, in)
	if err != nil {
		return err
	}
	a.Total, a.Spent = time.Since(begun.wall).Seconds(), usage.Processor().Seconds()-begun.cpu
	if a.PeakMB, err = statusMB("VmHWM"); err != nil {
		return err
	}
	a.PeakMB = max(a.PeakMB, reading)
	if j.Out == "" {
		return nil
	}
	switch m := model.(type) {
	case models.Embedder:
		return writeFloats(j.Out, m.Vectors())
	case models.Neighbourhood:
		return writeNeighbours(j.Out, m, model.Items())
	}
	return fmt.Errorf("%s has neither vectors nor neighbours to write", j.Kind)
}

// writeNeighbours writes pairs of items, the one voted on before its neighbour.
func writeNeighbours(path string, m models.Neighbourhood, items int) error {
	var pairs []int32
	var found []models.Neighbour
	for row := range items {
		found = m.Neighbours(features.Row(row), items, nil, found[:0])
		for _, n := range found {
			pairs = append(pairs, int32(n.Row), int32(row))
		}
	}
	b, err := binary.Append(nil, binary.LittleEndian, pairs)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// clock tells CPU and wall time between laps.
type clock struct {
	cpu  float64
	wall time.Time
}

func (c *clock) start() { c.cpu, c.wall = usage.Processor().Seconds(), time.Now() }

func (c *clock) lap(a *fitted) {
	a.CPU, a.Wall = append(a.CPU, usage.Processor().Seconds()-c.cpu), append(a.Wall, time.Since(c.wall).Seconds())
	c.start()
}

// statusMB is a field of /proc/self/status that counts memory.
func statusMB(field string) (float64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if words := bytes.Fields(line); len(words) == 3 && string(words[0]) == field+":" {
			kb, err := strconv.ParseFloat(string(words[1]), 64)
			return kb / 1024, err
		}
	}
	return 0, errors.New("no " + field + " in /proc/self/status")
}
