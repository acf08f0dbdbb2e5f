package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is a cluster in memory with the group's offsets; it outlives its
// clients as a real one does.
type broker struct {
	mu        sync.Mutex
	log       map[string][]Record // by topic and partition
	committed map[string]int      // place in log
	down      bool
	commits   int // that are refused from now on
}

func newBroker() *broker { return &broker{log: map[string][]Record{}, committed: map[string]int{}} }

func at(topic string, partition int32) string { return fmt.Sprintf("%s/%d", topic, partition) }

func (b *broker) send(topic string, partition int32, values ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := at(topic, partition)
	for _, v := range values {
		b.log[k] = append(b.log[k], Record{Topic: topic, Partition: partition, Offset: int64(len(b.log[k])), Time: time.UnixMilli(1_700_000_000_000), Value: []byte(v)})
	}
}

func (b *broker) set(f func(*broker)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b)
}

// lag is what is not committed.
func (b *broker) lag() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, l := range b.log {
		n += len(l) - b.committed[k]
	}
	return n
}

// member is a client of it.
type member struct {
	b       *broker
	read    map[string]int
	allowed bool // since the last poll
	closed  bool
	wrong   []string
}

func (b *broker) join() *member {
	m := &member{b: b, read: map[string]int{}, allowed: true}
	b.set(func(b *broker) {
		for k, n := range b.committed {
			m.read[k] = n
		}
	})
	return m
}

var errDown = errors.New("connection refused")

func (m *member) poll(ctx context.Context, most int) (records []Record, errs []error) {
	for {
		m.b.set(func(b *broker) {
			if !m.allowed {
				m.wrong = append(m.wrong, "polled without having allowed a rebalance")
			}
			if b.down {
				return
			}
			keys := make([]string, 0, len(b.log))
			for k := range b.log {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			for _, k := range keys {
				left := b.log[k][m.read[k]:]
				left = left[:min(len(left), most-len(records))]
				records = append(records, left...)
				m.read[k] += len(left)
			}
		})
		if len(records) > 0 {
			m.allowed = false
			return records, nil
		}
		if !pause(ctx, time.Millisecond) {
			return nil, nil
		}
	}
}

func (m *member) commit(context.Context) (err error) {
	m.b.set(func(b *broker) {
		switch {
		case m.allowed && len(m.read) == 0:
		case b.down:
			err = errDown
		case b.commits > 0:
			b.commits--
			err = errors.New("rebalance in progress")
		default:
			for k, n := range m.read {
				b.committed[k] = n
			}
		}
	})
	return err
}

func (m *member) allow() { m.allowed = true }

func (m *member) behind(context.Context) (all []Lag, err error) {
	m.b.set(func(b *broker) {
		if b.down {
			err = errDown
			return
		}
		for k, l := range b.log {
			all = append(all, Lag{Topic: l[0].Topic, Partition: l[0].Partition, Records: int64(len(l) - b.committed[k])})
		}
	})
	return all, err
}

func (m *member) close(context.Context) { m.closed = true }

// door is the dumb twin of the store: it knows rows by their ids.
type door struct {
	mu      sync.Mutex
	stored  map[string]string // value by place
	calls   map[string]int    // times that a place was stored
	buried  map[string]error
	fails   int               // calls that fail from now on, for a while
	lasting error             // how they do; nil: for a reason that passes
	poison  map[string]string // values that cannot be taken: "panic", or an error
}

func newDoor() *door {
	return &door{stored: map[string]string{}, calls: map[string]int{}, buried: map[string]error{}, poison: map[string]string{}}
}

func (d *door) set(f func(*door)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *door) Take(_ context.Context, shop features.ShopID, what api.What, rows []api.Row) (t api.Taken, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails > 0 {
		d.fails--
		if d.lasting != nil {
			return t, d.lasting
		}
		return t, context.DeadlineExceeded
	}
	for _, r := range rows {
		switch how := d.poison[string(r.Value)]; how {
		case "":
		case "panic":
			panic("cannot")
		default:
			return t, errors.New(how)
		}
		d.calls[r.Place]++
		if _, ok := d.stored[r.ID]; ok {
			t.Duplicates++
		} else {
			t.Accepted++
		}
		d.stored[r.ID] = fmt.Sprintf("%s/%s %s", shop, what, r.Value)
	}
	return t, nil
}

func (d *door) Bury(_ context.Context, _ features.ShopID, _ api.What, row api.Row, why error) error {
	d.set(func(d *door) { d.buried[string(row.Value)] = why })
	return nil
}

func (d *door) count() (n int) {
	d.set(func(d *door) { n = len(d.stored) })
	return n
}

// quick are limits for tests.
func quick() limits {
	return limits{
		most: 7, commit: time.Second, again: time.Millisecond, first: time.Millisecond, last: 2 * time.Millisecond, tries: 2,
		look: 2 * time.Millisecond, remind: time.Hour,
	}
}

// running is a connector that runs.
type running struct {
	*Connector
	m    *member
	well chan bool
	stop func() // and waits
}

func run(t *testing.T, b *broker, d Door) *running {
	t.Helper()
	m := b.join()
	r := &running{m: m, well: make(chan bool, 100)}
	targets := []Target{{"clicks", "default", api.EventRows}, {"goods", "other", api.ItemRows}}
	r.Connector = with(Options{
		Door: d, Grace: time.Second, Health: func(well bool) { r.well <- well }, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Registerer: prometheus.NewRegistry(),
	}, targets, m, quick())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			<-done
			if !m.closed {
				t.Error("the client was not closed")
			}
			for _, w := range m.wrong {
				t.Error(w)
			}
		})
	}
	t.Cleanup(r.stop)
	return r
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if yes() {
			return
		}
	}
	t.Fatalf("a minute later it still does not hold: %s", what)
}

// number is the value of a counter or gauge.
func number(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetCounter().GetValue() + d.GetGauge().GetValue()
}
