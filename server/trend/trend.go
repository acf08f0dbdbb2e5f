// Package trend counts what a shop's shoppers want now, by market and by the
// segments they are in, so that a source can propose what is trending without
// waiting for a model to be trained.
//
// Counts are kept in memory. A start takes the newest events of the log in, by
// the segments that shoppers are in then. Nothing is counted of who did not
// agree to it, and a chart is of several shoppers' doing or is not shown.
//
// It imports features and models/pipeline. Start reading at Keeper.Stored.
package trend

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// Log is where a start reads the newest events from; features/store is one.
type Log interface {
	Scan(ctx context.Context, shop features.ShopID, from, to int64, f func(*features.Event) error) error
	End(ctx context.Context, shop features.ShopID) (int64, error)
}

// Options are what a Keeper works with. Log is needed.
type Options struct {
	Log Log
	// Segments is the segments that a shopper is in, without reading anything:
	// none where that is not known. nil: nobody is in any.
	Segments func(features.ShopID, features.UserKey) []string
	// Withheld tells the events that are not counted; nil: there are none.
	Withheld   func(context.Context, features.ShopID, *features.Event) bool
	Newest     int64         // events that a start reads; 0: 200,000
	Every      time.Duration // between two makings of the charts that are asked for; 0: 5 s
	Shoppers   int           // that a chart rests on at least; 0: 10
	Pace       *pace.Pacer   // of reading them; nil: at full speed
	Clock      func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: nobody measures
}

// halfLives are the times after which an event counts half, by span.
var halfLives = [pipeline.Spans]time.Duration{pipeline.OfLate: 48 * time.Hour, pipeline.Lasting: 30 * 24 * time.Hour}

const (
	mostBoards = 256   // markets times segments: names come from callers
	mostItems  = 5_000 // of a board; the least wanted half goes
	chartItems = 300
	waiting    = 1024 // batches that may wait to be counted
)

// Keeper counts for all shops. It is safe for concurrent use.
type Keeper struct {
	o     Options
	queue chan batch
	ctx   context.Context
	stop  context.CancelFunc
	done  sync.WaitGroup
	lost  prometheus.Counter
	seed  maphash.Seed

	reading atomic.Int64 // logs that are being read

	mu    sync.Mutex
	shops map[features.ShopID]*Shop
}

type batch struct {
	shop   features.ShopID
	events []features.Event
}

// New returns a keeper that has counted nothing. Close it.
func New(o Options) (*Keeper, error) {
	if o.Log == nil {
		return nil, errors.New("trends: a log is needed")
	}
	o.Newest, o.Every, o.Shoppers = cmp.Or(o.Newest, 200_000), cmp.Or(o.Every, 5*time.Second), cmp.Or(o.Shoppers, 10)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	k := &Keeper{o: o, seed: maphash.MakeSeed(), queue: make(chan batch, waiting), shops: map[features.ShopID]*Shop{}}
	k.ctx, k.stop = context.WithCancel(context.Background())
	k.lost = prometheus.NewCounter(prometheus.CounterOpts{Name: "attune_trend_lost_events_total", Help: "Events that came faster than trends could be counted."})
	if o.Registerer != nil {
		o.Registerer.MustRegister(k.lost)
	}
	k.done.Go(k.count)
	return k, nil
}

// Close ends the counting.
func (k *Keeper) Close() error {
	k.stop()
	k.done.Wait()
	return nil
}

// Of is the trends of a shop. The first call begins to read the newest of its
// log, beside whoever asks.
func (k *Keeper) Of(id features.ShopID) *Shop {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.shops[id]
	if s == nil {
		s = &Shop{k: k, id: id, began: k.o.Clock(), boards: map[key]*board{}}
		k.shops[id] = s
		if k.ctx.Err() == nil {
			k.reading.Add(1)
			k.done.Go(func() {
				defer k.reading.Add(-1)
				k.read(s)
			})
		}
	}
	return s
}

// Settled reports whether the logs of all shops that were asked for are read.
func (k *Keeper) Settled() bool { return k.reading.Load() == 0 }

// Markets is the markets that a shop's events were counted in, the one with the
// most goods first.
func (k *Keeper) Markets(id features.ShopID) []string {
	k.mu.Lock()
	s := k.shops[id]
	k.mu.Unlock()
	if s == nil {
		return nil
	}
	goods := map[string]int{}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for at, b := range s.boards {
		if at.market != "" && at.segment == "" {
			b.mu.Lock()
			goods[at.market] = len(b.items)
			b.mu.Unlock()
		}
	}
	return slices.SortedFunc(maps.Keys(goods), func(a, b string) int { return cmp.Or(goods[b]-goods[a], cmp.Compare(a, b)) })
}

// Reload counts a shop's log anew: other events are withheld now.
func (k *Keeper) Reload(id features.ShopID) {
	k.mu.Lock()
	s := k.shops[id]
	k.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	s.began, s.boards = k.o.Clock(), map[key]*board{}
	s.mu.Unlock()
	k.read(s)
}

// read takes the newest of the log in, up to where Stored goes on.
func (k *Keeper) read(s *Shop) {
	job := k.o.Pace.Job()
	end, err := k.o.Log.End(k.ctx, s.id)
	if err == nil {
		err = k.o.Log.Scan(k.ctx, s.id, max(1, end-k.o.Newest), end, func(e *features.Event) error {
			job.Step()
			s.add(e, true)
			return nil
		})
	}
	if err != nil && k.ctx.Err() == nil {
		k.o.Logger.Error("what was wanted before the start is not counted", "shop", s.id, "error", err)
	}
}

// Stored takes durable events in, a moment later. It implements
// collect.Listener.
func (k *Keeper) Stored(id features.ShopID, events []features.Event) {
	k.mu.Lock()
	s := k.shops[id]
	k.mu.Unlock()
	if s == nil {
		return // nobody asks what is wanted there; the log has it
	}
	select {
	case k.queue <- batch{id, events}:
	default:
		k.lost.Add(float64(len(events)))
	}
}

// Linked implements collect.Listener: what was counted stays.
func (k *Keeper) Linked(features.ShopID, features.UserKey, features.UserKey) {}

// count is the one goroutine that counts what Stored brings, and makes charts.
func (k *Keeper) count() {
	tick := time.NewTicker(k.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case b := <-k.queue:
			s := k.Of(b.shop)
			for i := range b.events {
				s.add(&b.events[i], false)
			}
		case <-tick.C:
			k.Chart()
		}
	}
}

// Chart makes the charts anew that were asked for since they were made.
func (k *Keeper) Chart() {
	k.mu.Lock()
	shops := slices.Collect(maps.Values(k.shops))
	k.mu.Unlock()
	for _, s := range shops {
		s.mu.RLock()
		boards := slices.Collect(maps.Values(s.boards))
		passed := k.o.Clock().Sub(s.began)
		s.mu.RUnlock()
		for _, b := range boards {
			b.make(passed, k.o.Shoppers)
		}
	}
}

// Shop is the trends of one shop. It implements pipeline.Trends.
type Shop struct {
	k  *Keeper
	id features.ShopID

	mu     sync.RWMutex
	began  time.Time // weights are as of then, so that none has to be changed as time goes by
	boards map[key]*board
}

type key struct{ market, segment string }

// board is the counts of one market and segment.
type board struct {
	mu    sync.Mutex
	items map[string]*counts
	who   []uint64 // of some of the shoppers counted, as many as a chart needs: hashes that lead to nobody

	asked  [pipeline.Spans]atomic.Bool // since the chart was made
	charts [pipeline.Spans]atomic.Pointer[pipeline.Trend]
}

type counts [pipeline.Spans]float64

var weights = models.DefaultWeights()

// add counts an event; one that a start read is not counted where Stored did.
func (s *Shop) add(e *features.Event, old bool) {
	if !e.Type.Interest() || e.Item == "" || s.k.o.Withheld != nil && s.k.o.Withheld(s.k.ctx, s.id, e) {
		return
	}
	s.mu.RLock()
	began := s.began
	s.mu.RUnlock()
	if old && e.Received.After(began) {
		return
	}
	var each counts
	w := float64(weights.Of(&features.Interaction{Type: e.Type, Quantity: float32(e.Quantity), Value: float32(e.Value)}))
	if !(w > 0) {
		return
	}
	for span, half := range halfLives {
		each[span] = w * math.Exp2(float64(e.Time.Sub(began))/float64(half))
	}
	subject := e.Subject()
	who := maphash.Comparable(s.k.seed, subject)
	s.board(key{"", ""}).add(e.Item, who, each, s.k.o.Shoppers)
	if e.Market != "" {
		s.board(key{e.Market, ""}).add(e.Item, who, each, s.k.o.Shoppers)
	}
	if s.k.o.Segments == nil {
		return
	}
	for _, segment := range s.k.o.Segments(s.id, subject) {
		s.board(key{"", segment}).add(e.Item, who, each, s.k.o.Shoppers)
		if e.Market != "" {
			s.board(key{e.Market, segment}).add(e.Item, who, each, s.k.o.Shoppers)
		}
	}
}

// board is that of a market and segment; nil where there are too many.
func (s *Shop) board(at key) *board {
	s.mu.RLock()
	b := s.boards[at]
	s.mu.RUnlock()
	if b != nil {
		return b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b = s.boards[at]; b == nil && len(s.boards) < mostBoards {
		b = &board{items: map[string]*counts{}}
		s.boards[key{strings.Clone(at.market), strings.Clone(at.segment)}] = b
	}
	return b
}

func (b *board) add(item string, who uint64, each counts, enough int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.who) < enough && !slices.Contains(b.who, who) {
		b.who = append(b.who, who)
	}
	c := b.items[item]
	if c == nil {
		if len(b.items) >= mostItems {
			b.halve()
		}
		c = new(counts)
		b.items[strings.Clone(item)] = c
	}
	for span, w := range each {
		c[span] += w
	}
}

// halve drops the half of the items that is wanted least over weeks.
func (b *board) halve() {
	all := make([]float64, 0, len(b.items))
	for _, c := range b.items {
		all = append(all, c[pipeline.Lasting])
	}
	slices.Sort(all)
	limit := all[len(all)/2]
	for item, c := range b.items {
		if c[pipeline.Lasting] <= limit {
			delete(b.items, item)
		}
	}
}

// Trend implements pipeline.Trends. Who asks first gets nothing; a chart is made
// soon.
func (s *Shop) Trend(span pipeline.Span, market, segment string) *pipeline.Trend {
	s.mu.RLock()
	b := s.boards[key{market, segment}]
	s.mu.RUnlock()
	if b == nil {
		return nil
	}
	if asked := &b.asked[span]; !asked.Load() {
		asked.Store(true)
	}
	return b.charts[span].Load()
}

// make makes the charts that were asked for, as of a time after the shop began.
func (b *board) make(passed time.Duration, enough int) {
	for span := range b.charts {
		if !b.asked[span].Swap(false) {
			continue
		}
		b.mu.Lock()
		if len(b.who) < enough {
			b.mu.Unlock()
			continue
		}
		fade := math.Exp2(-float64(passed) / float64(halfLives[span]))
		all := make([]wanted, 0, len(b.items))
		for item, c := range b.items {
			all = append(all, wanted{item, c[span] * fade})
		}
		b.mu.Unlock()
		slices.SortFunc(all, func(a, b wanted) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.item, b.item)) })
		t := &pipeline.Trend{}
		for _, w := range all[:min(len(all), chartItems)] {
			t.Items, t.Scores = append(t.Items, w.item), append(t.Scores, float32(w.count))
		}
		b.charts[span].Store(t)
	}
}

type wanted struct {
	item  string
	count float64
}
