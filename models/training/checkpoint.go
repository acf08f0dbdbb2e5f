package training

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/attune-rec/attune/models/nn"
)

// state is what a checkpoint notes beside the weights.
type state struct {
	Fit     string     `json:"fit"` // of which it is: see run.name
	Epoch   int        `json:"epoch"`
	Steps   int        `json:"steps"` // that the rate is planned for
	Stopped bool       `json:"stopped"`
	Stopper nn.Stopper `json:"stopper"`
	Offered int        `json:"offered"`
}

const noteKey = "training"

// name tells a fit from others: its kind, parameters, seed, replicas and data.
func (r *run[B, M]) name() (string, error) {
	params, err := json.Marshal(r.plan.Params)
	if err != nil {
		return "", err
	}
	h := fnv.New64a()
	var b []byte
	for _, it := range r.in.Train.Log {
		b = strconv.AppendInt(b[:0], int64(it.Row), 36)
		b = strconv.AppendInt(append(b, ' '), it.TimeMS, 36)
		b = append(b, ' ', byte(it.Type))
		_, _ = h.Write(b) // never fails
	}
	return fmt.Sprintf("%s of %d users, %d items and %d interactions (%x), seed %d, %d replicas, %s", r.plan.Kind,
		r.in.Train.NumUsers(), r.in.Train.NumItems(), len(r.in.Train.Log), h.Sum64(), r.in.Seed, len(r.replicas), params), nil
}

// restore takes up the run that the checkpoint is of, where there is one.
func (r *run[B, M]) restore() error {
	if r.in.Checkpoint == "" {
		return nil
	}
	var err error
	if r.fit, err = r.name(); err != nil {
		return err
	}
	b, err := os.ReadFile(r.in.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	note, best, err := r.adam.Restore(b)
	if err != nil {
		return fmt.Errorf("%s: %w: remove it to begin anew", r.in.Checkpoint, err)
	}
	var s state
	if err := json.Unmarshal([]byte(note[noteKey]), &s); err != nil || s.Fit != r.fit {
		return fmt.Errorf("%s: %w: it is of another fit (%q): remove it to begin anew", r.in.Checkpoint, nn.ErrCheckpoint, s.Fit)
	}
	r.epoch, r.stopped, r.best = s.Epoch, s.Stopped, best
	r.stopper = s.Stopper.Resume(s.Offered)
	r.rate = nn.Schedule{Rate: r.plan.Rate, Steps: s.Steps, Warm: r.plan.Warm, Floor: lowest}
	return nil
}

// save writes the checkpoint, whole or not at all.
func (r *run[B, M]) save() error {
	path := r.in.Checkpoint
	if path == "" {
		return nil
	}
	note, err := json.Marshal(state{
		Fit: r.fit, Epoch: r.epoch, Steps: r.rate.Steps, Stopped: r.stopped, Stopper: r.stopper, Offered: r.stopper.Offered(),
	})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // of no effect once it is renamed
	w := bufio.NewWriter(f)
	err = r.adam.Checkpoint(w, map[string]string{noteKey: string(note)}, r.best)
	err = errors.Join(err, w.Flush(), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return os.Rename(f.Name(), path)
}
