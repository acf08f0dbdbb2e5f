// Package journal writes the record of every answer to the store, off the path
// of the request: through a bounded queue, in batches. What does not fit or
// cannot be written is counted and logged, never silent.
//
// It imports features/store. Start reading at Journal.
package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Options say how much a journal holds and how it writes. The zero value of a
// field means its default.
type Options struct {
	Queue      int           // records that wait at most; 0: 65,536
	Batch      int           // records of one write at most; 0: 2,048
	Linger     time.Duration // how long a record waits for others; 0: 200 ms
	Attempts   int           // writes of a batch before it is given up; 0: 3
	Logger     *slog.Logger  // nil: slog.Default
	Registerer prometheus.Registerer
}

// Journal takes the records of answers. It is safe for concurrent use.
type Journal struct {
	opts    Options
	store   store.Journal
	log     *slog.Logger
	quit    chan struct{}
	done    chan struct{}
	once    sync.Once
	records *prometheus.CounterVec

	mu     sync.Mutex
	queue  [][]record // batches that wait, the last of them being filled
	spare  []record   // memory of a batch
	size   int        // records that wait
	closed bool
	first  chan struct{} // told of the first record of all that wait
	full   chan struct{} // and of a full batch

	writing   sync.Mutex // held while records are chosen and written
	forgotten map[subject]time.Time
}

type record struct {
	shop   features.ShopID
	served store.Served
}

// New starts a journal that writes to st. Close it.
func New(st store.Journal, o Options) *Journal {
	if o.Queue <= 0 {
		o.Queue = 1 << 16
	}
	if o.Batch <= 0 {
		o.Batch = 2048
	}
	if o.Linger <= 0 {
		o.Linger = 200 * time.Millisecond
	}
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	j := &Journal{
		opts: o, store: st, log: o.Logger,
		quit: make(chan struct{}), done: make(chan struct{}), first: make(chan struct{}, 1), full: make(chan struct{}, 1),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_served_records_total",
			Help: "Records of answers: written, dropped because the queue was full, or failed to write.",
		}, []string{"outcome"}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "attune_served_records_waiting", Help: "Records of answers that wait to be written.",
	}, func() float64 {
		j.mu.Lock()
		defer j.mu.Unlock()
		return float64(j.size)
	})
	for _, outcome := range []string{written, dropped, failed} {
		j.records.WithLabelValues(outcome)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(j.records, waiting)
	}
	go j.run()
	return j
}

const written, dropped, failed = "written", "dropped", "failed"

// Put takes a record, which the journal owns from then on. It never waits: a
// record that finds the queue full or the journal closed is dropped and counted.
func (j *Journal) Put(shop features.ShopID, s store.Served) {
	if !j.add(record{shop, s}) {
		j.records.WithLabelValues(dropped).Inc()
	}
}

// add puts a record into the queue. The writer is woken for the first one and
// for a full batch: to wake it for each would cost more than the writing.
func (j *Journal) add(r record) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed || j.size >= j.opts.Queue {
		return false
	}
	last := len(j.queue) - 1
	if last < 0 || len(j.queue[last]) == j.opts.Batch {
		batch := j.spare
		if j.spare = nil; batch == nil {
			batch = make([]record, 0, j.opts.Batch)
		}
		j.queue = append(j.queue, batch)
		last++
	}
	j.queue[last] = append(j.queue[last], r)
	if j.size++; j.size == 1 {
		tell(j.first)
	}
	if j.size == j.opts.Batch {
		tell(j.full)
	}
	return true
}

func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take is the batch that waits longest; nil when none does. It gives back the
// memory of the one before.
func (j *Journal) take(before []record) []record {
	j.mu.Lock()
	defer j.mu.Unlock()
	if before != nil {
		j.spare = before[:0]
	}
	if len(j.queue) == 0 {
		return nil
	}
	batch := j.queue[0]
	j.queue[0] = nil
	if j.queue = j.queue[1:]; len(j.queue) == 0 {
		j.queue = nil
	}
	j.size -= len(batch)
	return batch
}

// Close writes what waits, for as long as ctx lasts, and stops.
func (j *Journal) Close(ctx context.Context) error {
	j.once.Do(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.closed = true
		close(j.quit)
	})
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *Journal) run() {
	defer close(j.done)
	complaint := time.NewTicker(10 * time.Second)
	defer complaint.Stop()
	var said float64
	for {
		select {
		case <-j.first:
			j.linger()
			j.drain()
		case <-complaint.C:
			if n := value(j.records.WithLabelValues(dropped)); n > said {
				j.log.Warn("records of answers were dropped: the store does not keep up", "dropped", n-said, "queue", j.opts.Queue)
				said = n
			}
		case <-j.quit:
			j.drain()
			return
		}
	}
}

// linger waits for more records, until a batch is full.
func (j *Journal) linger() {
	select {
	case <-j.full: // maybe of what was written since
	default:
	}
	j.mu.Lock()
	enough := j.size >= j.opts.Batch
	j.mu.Unlock()
	if enough {
		return
	}
	timer := time.NewTimer(j.opts.Linger)
	defer timer.Stop()
	select {
	case <-j.full:
	case <-timer.C:
	case <-j.quit:
	}
}

// drain writes what waits.
func (j *Journal) drain() {
	for batch := j.take(nil); batch != nil; batch = j.take(batch) {
		j.write(batch)
	}
}

// write stores a batch shop by shop.
func (j *Journal) write(batch []record) {
	j.writing.Lock()
	defer j.writing.Unlock()
	byShop := map[features.ShopID][]store.Served{}
	for i := range batch {
		if len(j.forgotten) > 0 && j.gone(&batch[i]) {
			continue
		}
		byShop[batch[i].shop] = append(byShop[batch[i].shop], batch[i].served)
	}
	for shop, records := range byShop {
		j.put(shop, records)
	}
	clear(batch)
}

func (j *Journal) put(shop features.ShopID, records []store.Served) {
	var err error
	for attempt := range j.opts.Attempts {
		if attempt > 0 {
			time.Sleep(time.Duration(attempt) * 100 * time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err = j.store.PutServed(ctx, shop, records)
		cancel()
		if err == nil {
			j.records.WithLabelValues(written).Add(float64(len(records)))
			return
		}
	}
	j.records.WithLabelValues(failed).Add(float64(len(records)))
	j.log.Error("records of answers could not be written", "shop", shop, "records", len(records), "error", err)
}
