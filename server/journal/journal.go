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
	Batch      int           // records of one write at most; 0: 512
	Linger     time.Duration // how long a record waits for others; 0: 50 ms
	Attempts   int           // writes of a batch before it is given up; 0: 3
	Logger     *slog.Logger  // nil: slog.Default
	Registerer prometheus.Registerer
}

// Journal takes the records of answers. It is safe for concurrent use.
type Journal struct {
	opts    Options
	store   store.Journal
	log     *slog.Logger
	queue   chan record
	quit    chan struct{}
	done    chan struct{}
	once    sync.Once
	records *prometheus.CounterVec
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
		o.Batch = 512
	}
	if o.Linger <= 0 {
		o.Linger = 50 * time.Millisecond
	}
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	j := &Journal{
		opts: o, store: st, log: o.Logger,
		queue: make(chan record, o.Queue), quit: make(chan struct{}), done: make(chan struct{}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_served_records_total",
			Help: "Records of answers: written, dropped because the queue was full, or failed to write.",
		}, []string{"outcome"}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "attune_served_records_waiting", Help: "Records of answers that wait to be written.",
	}, func() float64 { return float64(len(j.queue)) })
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
	select {
	case <-j.quit:
	default:
		select {
		case j.queue <- record{shop, s}:
			return
		default:
		}
	}
	j.records.WithLabelValues(dropped).Inc()
}

// Close writes what waits, for as long as ctx lasts, and stops.
func (j *Journal) Close(ctx context.Context) error {
	j.once.Do(func() { close(j.quit) })
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *Journal) run() {
	defer close(j.done)
	batch := make([]record, 0, j.opts.Batch)
	complaint := time.NewTicker(10 * time.Second)
	defer complaint.Stop()
	var said float64
	for {
		select {
		case r := <-j.queue:
			batch = j.fill(append(batch, r))
			j.write(batch)
			batch = batch[:0]
		case <-complaint.C:
			if n := value(j.records.WithLabelValues(dropped)); n > said {
				j.log.Warn("records of answers were dropped: the store does not keep up", "dropped", n-said, "queue", j.opts.Queue)
				said = n
			}
		case <-j.quit:
			for {
				select {
				case r := <-j.queue:
					if batch = append(batch, r); len(batch) == cap(batch) {
						j.write(batch)
						batch = batch[:0]
					}
				default:
					j.write(batch)
					return
				}
			}
		}
	}
}

// fill adds what comes within the linger.
func (j *Journal) fill(batch []record) []record {
	timer := time.NewTimer(j.opts.Linger)
	defer timer.Stop()
	for len(batch) < j.opts.Batch {
		select {
		case r := <-j.queue:
			batch = append(batch, r)
		case <-timer.C:
			return batch
		case <-j.quit:
			return batch
		}
	}
	return batch
}

// write stores a batch shop by shop.
func (j *Journal) write(batch []record) {
	byShop := map[features.ShopID][]store.Served{}
	for i := range batch {
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
