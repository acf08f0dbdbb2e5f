// Package kafka collects what a shop publishes on Kafka topics: events, items
// and users go through the door that calls go through, and an offset is committed
// only once everything before it is durable, be it taken or kept as refused. What
// is read twice is stored once.
//
// It imports features and server/api; the Kafka library stays in it. Start
// reading at Connector.Run, then at taking.go.
package kafka

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/api"
)

// Door is where records go: api.Rows.
type Door interface {
	// Take makes rows durable, taken or kept as refused; an error says that they
	// must be taken again.
	Take(ctx context.Context, shop features.ShopID, what api.What, rows []api.Row) (api.Taken, error)
	// Bury keeps a row that cannot be taken although others can.
	Bury(ctx context.Context, shop features.ShopID, what api.What, row api.Row, why error) error
}

// Record is a record of a topic. A nil Value is a tombstone.
type Record struct {
	Topic      string
	Partition  int32
	Offset     int64
	Time       time.Time
	Key, Value []byte
}

// Lag is how many records of a partition the group has not committed yet.
type Lag struct {
	Topic     string
	Partition int32
	Records   int64
}

// client is what is needed of a Kafka client. behind may be called beside the
// others.
type client interface {
	// poll waits for at most so many records, in order within a partition, and
	// says what went wrong meanwhile. From then until allow, no partition goes to
	// another member of the group.
	poll(ctx context.Context, most int) ([]Record, []error)
	// commit says that everything polled is done with.
	commit(ctx context.Context) error
	allow()
	// behind asks the brokers for the lag of every partition.
	behind(ctx context.Context) ([]Lag, error)
	// close leaves the group; when ctx ends, without its knowing.
	close(ctx context.Context)
}

// Options are what a Connector works with. Flags must be checked; Door is needed.
type Options struct {
	Flags      Flags
	Door       Door
	Grace      time.Duration   // what is under way has so long to end when Run should; 0: 8 seconds
	Health     func(well bool) // told when the brokers begin or cease to answer; nil: nobody
	Logger     *slog.Logger    // nil: slog.Default
	Registerer prometheus.Registerer
}

// Times and sizes; tests have shorter ones.
type limits struct {
	most   int           // records at once
	commit time.Duration // for a commit
	again  time.Duration // between two tries to commit when no records come
	first  time.Duration // wait after a failure, doubled by each further one
	last   time.Duration // at most
	tries  int           // before rows are taken one by one
	look   time.Duration // between two looks at the brokers, and for one
	remind time.Duration // between two log lines of the same trouble
}

func usual() limits {
	return limits{
		most: 4000, commit: 10 * time.Second, again: time.Second, first: 100 * time.Millisecond, last: 10 * time.Second, tries: 4,
		look: 5 * time.Second, remind: time.Minute,
	}
}

// Connector collects from one cluster.
type Connector struct {
	o       Options
	limits  limits
	client  client
	targets map[string]Target
	metrics *metrics
	state   state
	closed  sync.Once
}

// New returns a connector that has not connected to anything yet.
func New(o Options) (*Connector, error) {
	targets, err := o.Flags.targets()
	if err != nil {
		return nil, err
	}
	c, err := dial(&o.Flags, targets)
	if err != nil {
		return nil, err
	}
	return with(o, targets, c, usual()), nil
}

func with(o Options, targets []Target, c client, l limits) *Connector {
	if o.Grace <= 0 {
		o.Grace = 8 * time.Second
	}
	if o.Health == nil {
		o.Health = func(bool) {}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	k := &Connector{o: o, limits: l, client: c, targets: map[string]Target{}, metrics: newMetrics(o.Registerer)}
	for _, t := range targets {
		k.targets[t.Topic] = t
		k.metrics.expect(t.Topic)
	}
	return k
}

// Run collects until ctx ends: then what is under way is made durable and
// committed, within the grace, and the group is left. It may be called once.
func (k *Connector) Run(ctx context.Context) {
	looking := make(chan struct{})
	go func() { defer close(looking); k.watch(ctx) }()
	for owed := false; ctx.Err() == nil; {
		polling, cancel := ctx, context.CancelFunc(func() {})
		if owed { // what could not be committed is tried again soon
			polling, cancel = context.WithTimeout(ctx, k.limits.again)
		}
		records, errs := k.client.poll(polling, k.limits.most)
		cancel()
		for _, err := range errs {
			k.trouble("fetch", err)
		}
		if len(records) > 0 {
			if !k.take(ctx, records) {
				break // what is not durable is not committed
			}
			owed = true
		}
		if owed {
			owed = !k.commit(ctx)
		}
		k.client.allow()
	}
	<-looking
	_ = k.Close()
}

// Close gives the client back where Run does not; it may be called again.
func (k *Connector) Close() error {
	k.closed.Do(func() {
		leave, cancel := context.WithTimeout(context.Background(), k.o.Grace/4)
		defer cancel()
		k.client.close(leave)
	})
	return nil
}

// commit reports whether the offsets are committed.
func (k *Connector) commit(ctx context.Context) bool {
	ctx, cancel := k.beyond(ctx, k.limits.commit)
	defer cancel()
	if err := k.client.commit(ctx); err != nil {
		k.trouble("commit", err)
		return false
	}
	return true
}

// beyond is a context for what must not end at once when ctx does: it has a
// quarter of the grace from then on, and limit at most; 0: no limit.
func (k *Connector) beyond(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if limit > 0 {
		own, cancel = context.WithTimeout(context.WithoutCancel(ctx), limit)
	}
	timer := make(chan *time.Timer, 1)
	stop := context.AfterFunc(ctx, func() { timer <- time.AfterFunc(k.o.Grace/4, cancel) })
	return own, func() {
		if !stop() {
			(<-timer).Stop()
		}
		cancel()
	}
}

// pause waits, and reports whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
