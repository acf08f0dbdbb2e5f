// Package signals keeps, for every shop that is served by a learnt ranker, what
// the signals of features/signal remember of its log: read from the store when
// the shop's release is loaded and kept up with every event collected since, in
// the order of the log, so that a replay of the log gives the numbers served.
//
// It imports features and features/signal. Start reading at Keeper.
package signals

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/features/signal"
)

// Log is where a shop's events are read from; features/store is one.
type Log interface {
	Scan(ctx context.Context, shop features.ShopID, from, to int64, f func(*features.Event) error) error
	End(ctx context.Context, shop features.ShopID) (int64, error)
}

// Options are what a Keeper works with. Log is needed.
type Options struct {
	Log Log
	// Every is how often the log is looked at for events that others collected,
	// or that came out of turn; 0: 100 ms.
	Every time.Duration
	// Withheld tells the events that are not counted; nil: there are none. After
	// it changed its mind, Reload.
	Withheld func(context.Context, features.ShopID, *features.Event) bool
	// Dir has a file for each shop, which a start reads in place of the log; "":
	// none are written.
	Dir string
	// SaveEvery is how many events are folded before a file is written anew; 0: a
	// million. One is written at Close too.
	SaveEvery int64
	Logger    *slog.Logger // nil: slog.Default
}

// Keeper has the signals of shops. It is safe for concurrent use.
type Keeper struct {
	o    Options
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	shops sync.Map // features.ShopID -> *shop
	load  sync.Mutex
}

// shop is one shop's memory and where it stands in the log.
type shop struct {
	memory atomic.Pointer[signal.Memory] // nil: not read yet

	counts func(*features.Event) bool

	mu   sync.Mutex // of the writer
	next int64      // the event to go on with
	wait map[int64]features.Event

	file file
}

// mostWaiting bounds the events that wait for one before them.
const mostWaiting = 10_000

// New returns a keeper of no shop. Close it.
func New(o Options) (*Keeper, error) {
	if o.Log == nil {
		return nil, errors.New("signals: a log is needed")
	}
	if o.Every <= 0 {
		o.Every = 100 * time.Millisecond
	}
	if o.SaveEvery <= 0 {
		o.SaveEvery = 1_000_000
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	k := &Keeper{o: o}
	k.ctx, k.stop = context.WithCancel(context.Background())
	k.done.Go(k.follow)
	return k, nil
}

// Close ends following the log, and writes the files.
func (k *Keeper) Close() error {
	k.stop()
	k.done.Wait()
	var errs []error
	k.shops.Range(func(id, s any) bool {
		errs = append(errs, k.save(id.(features.ShopID), s.(*shop)))
		return true
	})
	return errors.Join(errs...)
}

// State is what is remembered of a shop; nil where Load was not called.
func (k *Keeper) State(id features.ShopID) features.State {
	if s, ok := k.shops.Load(id); ok {
		if m := s.(*shop).memory.Load(); m != nil {
			return m
		}
	}
	return nil
}

// Load reads the shop's file, where there is one, and the log from there on,
// once: what is collected from now on is taken in as it comes.
func (k *Keeper) Load(ctx context.Context, id features.ShopID) error {
	k.load.Lock()
	defer k.load.Unlock()
	if k.State(id) != nil {
		return nil
	}
	set, err := signal.NewSet()
	if err != nil {
		return err
	}
	s := k.begin(id)
	memory, err := k.open(ctx, id, set)
	if err == nil {
		s.next = memory.Seq() + 1
		s.file.seq = memory.Seq()
	} else {
		if !errors.Is(err, fs.ErrNotExist) {
			k.o.Logger.Warn("the file of signals is of no use; the log is read from its beginning", "shop", id, "error", err)
		}
		memory = signal.NewMemory(set)
	}
	k.shops.Store(id, s) // before the log is read: nothing may slip between
	if err := k.catchUp(ctx, id, s, memory); err != nil {
		k.shops.Delete(id)
		return fmt.Errorf("read the signals of shop %s: %w", id, err)
	}
	s.memory.Store(memory)
	return nil
}

func (k *Keeper) begin(id features.ShopID) *shop {
	return &shop{next: 1, wait: map[int64]features.Event{}, counts: func(e *features.Event) bool {
		return k.o.Withheld == nil || !k.o.Withheld(k.ctx, id, e)
	}}
}

// Reload reads the log of a shop that was loaded anew, beside what is there,
// and then takes its place: what is withheld is another now.
func (k *Keeper) Reload(id features.ShopID) error {
	k.load.Lock()
	defer k.load.Unlock()
	if k.State(id) == nil {
		return nil
	}
	set, err := signal.NewSet()
	if err != nil {
		return err
	}
	s, memory := k.begin(id), signal.NewMemory(set)
	if err := k.catchUp(k.ctx, id, s, memory); err != nil {
		return fmt.Errorf("read the signals of shop %s: %w", id, err)
	}
	if k.o.Dir != "" { // the file counts what is withheld now; the next one will not
		if err := os.Remove(k.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	s.memory.Store(memory)
	k.shops.Store(id, s)
	return k.catchUp(k.ctx, id, s, memory) // what came meanwhile
}

// fold takes an event in that counts. The caller holds mu.
func (s *shop) fold(memory *signal.Memory, e *features.Event) {
	if s.counts(e) {
		memory.Fold(*e)
	}
}

// catchUp folds what the log has and the memory has not.
func (k *Keeper) catchUp(ctx context.Context, id features.ShopID, s *shop, memory *signal.Memory) error {
	s.mu.Lock()
	from := s.next
	s.mu.Unlock()
	const batch = 512
	events := make([]features.Event, 0, batch)
	flush := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range events {
			if events[i].Seq >= s.next {
				s.fold(memory, &events[i])
				s.next = events[i].Seq + 1
			}
		}
		events = events[:0]
		s.drain(memory)
	}
	err := k.o.Log.Scan(ctx, id, from, 0, func(e *features.Event) error {
		if events = append(events, *e); len(events) == batch {
			flush()
		}
		return nil
	})
	flush()
	return err
}

// drain folds what waits for its turn and has it.
func (s *shop) drain(memory *signal.Memory) {
	for len(s.wait) > 0 {
		e, ok := s.wait[s.next]
		if !ok {
			for seq := range s.wait {
				if seq < s.next {
					delete(s.wait, seq)
				}
			}
			return
		}
		delete(s.wait, s.next)
		s.fold(memory, &e)
		s.next++
	}
}

// Stored takes durable events in. One that comes before an earlier one of the
// log waits for it. It implements collect.Listener.
func (k *Keeper) Stored(id features.ShopID, events []features.Event) {
	found, ok := k.shops.Load(id)
	if !ok {
		return
	}
	s := found.(*shop)
	memory := s.memory.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		switch seq := events[i].Seq; {
		case seq < s.next:
		case seq == s.next && memory != nil && len(s.wait) == 0:
			s.fold(memory, &events[i])
			s.next++
		case len(s.wait) < mostWaiting: // the log has the others
			s.wait[seq] = events[i]
		}
	}
	if memory != nil {
		s.drain(memory)
	}
}

// Linked implements collect.Listener: what a session did stays the session's,
// as in a replay.
func (k *Keeper) Linked(features.ShopID, features.UserKey, features.UserKey) {}

// Forget drops what is remembered of a user: an erasure.
func (k *Keeper) Forget(id features.ShopID, user features.UserKey) {
	if m, ok := k.State(id).(*signal.Memory); ok {
		m.Forget(user)
	}
	if s, ok := k.shops.Load(id); ok {
		k.unwrite(id, s.(*shop))
	} else {
		k.unwrite(id, new(shop))
	}
}

// Prepare makes what is known of items ready for a catalogue that is about to be
// served. A pacer in ctx paces it.
func (k *Keeper) Prepare(ctx context.Context, id features.ShopID, items features.Catalog) {
	if m, ok := k.State(id).(*signal.Memory); ok {
		m.Prepare(pace.Of(ctx), items)
	}
}

// Keep drops what is known of items that are in none of the shop's catalogues.
func (k *Keeper) Keep(id features.ShopID, catalogues []features.Catalog) {
	if m, ok := k.State(id).(*signal.Memory); ok {
		m.Keep(catalogues...)
	}
}

// follow looks at the log for what Stored was not told in turn.
func (k *Keeper) follow() {
	tick := time.NewTicker(k.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-tick.C:
		}
		k.shops.Range(func(key, value any) bool {
			id, s := key.(features.ShopID), value.(*shop)
			memory := s.memory.Load()
			if memory == nil {
				return true
			}
			end, err := k.o.Log.End(k.ctx, id)
			s.mu.Lock()
			behind := end > s.next
			s.mu.Unlock()
			if err == nil && behind {
				err = k.catchUp(k.ctx, id, s, memory)
			}
			if err != nil && k.ctx.Err() == nil {
				k.o.Logger.Error("signals could not be kept up with the log; the next look tries again", "shop", id, "error", err)
			}
			if err == nil && s.file.stale(memory.Seq(), k.o.SaveEvery) {
				if err := k.save(id, s); err != nil {
					k.o.Logger.Error("signals could not be written; a start will read more of the log", "shop", id, "error", err)
				}
			}
			return k.ctx.Err() == nil
		})
	}
}
