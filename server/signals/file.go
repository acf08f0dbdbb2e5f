package signals

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/signal"
)

// file is what is known of a shop's file. It can be taken away at any time: the
// log has everything.
type file struct {
	mu    sync.Mutex
	seq   int64 // of its newest event; 0: there is none
	taken int64 // times it was taken away
	wrote time.Time
}

// rest is the least time between two writings of a file.
const rest = time.Minute

// stale reports whether it is to be written for a memory that is at seq.
func (f *file) stale(seq, every int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return seq > 0 && (f.seq == 0 || seq-f.seq >= every) && time.Since(f.wrote) >= rest
}

func (k *Keeper) path(id features.ShopID) string {
	return filepath.Join(k.o.Dir, string(id)+".signals")
}

// open is the memory that the shop's file has. It reports fs.ErrNotExist where
// there is none.
func (k *Keeper) open(ctx context.Context, id features.ShopID, set *signal.Set) (*signal.Memory, error) {
	if k.o.Dir == "" {
		return nil, fs.ErrNotExist
	}
	all, err := os.ReadFile(k.path(id))
	if err != nil {
		return nil, err
	}
	m, err := signal.Decode(set, all)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.path(id), err)
	}
	end, err := k.o.Log.End(ctx, id)
	if err == nil {
		err = k.untouched(ctx, id)
	}
	if err == nil && m.Seq() >= end {
		err = fmt.Errorf("%s: is newer than the log, which ends at %d", k.path(id), end)
	}
	return m, err
}

// Toucher tells whose history as a whole was changed since a time, by an erasure
// above all. features/store is one.
type Toucher interface {
	Touched(ctx context.Context, shop features.ShopID, since time.Time) ([]features.UserKey, error)
}

// untouched reports an error where somebody was erased, or linked, after the
// file was written, as when a backup was put back: it may have what must be
// gone.
func (k *Keeper) untouched(ctx context.Context, id features.ShopID) error {
	t, ok := k.o.Log.(Toucher)
	if !ok {
		return nil
	}
	info, err := os.Stat(k.path(id))
	if err != nil {
		return err
	}
	touched, err := t.Touched(ctx, id, info.ModTime())
	if err == nil && len(touched) > 0 {
		err = fmt.Errorf("%s: histories of %d shoppers were changed since", k.path(id), len(touched))
	}
	return err
}

// save writes the shop's file where the memory has something new: beside the
// old one, then in its place.
func (k *Keeper) save(id features.ShopID, s *shop) (err error) {
	memory := s.memory.Load()
	if k.o.Dir == "" || memory == nil {
		return nil
	}
	s.file.mu.Lock()
	taken, was := s.file.taken, s.file.seq
	s.file.mu.Unlock()
	seq := memory.Seq()
	if seq == was {
		return nil
	}
	if err := os.MkdirAll(k.o.Dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(k.o.Dir, ".signals-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err = errors.Join(memory.Save(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	if s.file.taken != taken { // somebody in it is to be forgotten
		return os.Remove(f.Name())
	}
	if err = os.Rename(f.Name(), k.path(id)); err != nil {
		return err
	}
	s.file.wrote = time.Now()
	s.file.seq = seq // at least: a little more may be in it
	return nil
}

// unwrite takes the file away: it has somebody who is to be forgotten.
func (k *Keeper) unwrite(id features.ShopID, s *shop) {
	if k.o.Dir == "" {
		return
	}
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	s.file.taken++
	s.file.seq = 0
	if err := os.Remove(k.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.o.Logger.Error("the file of signals could not be taken away: delete it", "file", k.path(id), "error", err)
	}
}
