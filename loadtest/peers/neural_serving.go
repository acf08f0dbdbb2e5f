package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/sequence"
)

type neuralServingCmd struct {
	Runs  int    `default:"20000" help:"Requests of each kind that are timed, one by one."`
	Items int    `default:"20000" help:"Items of the catalogue."`
	Write string `help:"Markdown file whose table is replaced."`
}

// servingCase is something a server does for one request.
type servingCase struct {
	title  string
	kind   string
	params string
	aim    time.Duration // at the 99th percentile
	run    func(m models.Model, d *dataset.Dataset) func(i int)
}

const served = 500 // candidates

func servingCases() []servingCase {
	const sizes, memory = `{"epochs": 1, "negatives": 32, "dim": 64, "window": 50}`, `{"epochs": 1, "negatives": 32, "dim": 128, "window": 200}`
	return []servingCase{
		{"500 candidates by NeuMF", "neumf", `{"epochs": 1}`, 400 * time.Microsecond, ranking},
		{"500 candidates by the multi-task ranker", "multitask", `{"epochs": 1}`, 400 * time.Microsecond, ranking},
		{"one event into GRU, d 64", "gru", sizes, 300 * time.Microsecond, following},
		{"one event into GRU, d 128", "gru", memory, 300 * time.Microsecond, following},
		{"one event into LSTM, d 64", "lstm", sizes, 300 * time.Microsecond, following},
		{"one event into LSTM, d 128", "lstm", memory, 300 * time.Microsecond, following},
		{"one event into SASRec, d 64, 2 blocks, window 50", "sasrec", sizes, 300 * time.Microsecond, following},
		{"one event into SASRec, d 64, 2 blocks, window 200", "sasrec", `{"epochs": 1, "negatives": 32, "dim": 64, "window": 200}`, 300 * time.Microsecond, following},
		{"500 candidates by LSTM, d 128, after one event more, of a history of 300 to 500", "lstm", memory, 400 * time.Microsecond, answering},
		{"500 candidates by SASRec, d 64, window 200, likewise", "sasrec", `{"epochs": 1, "negatives": 32, "dim": 64, "window": 200}`, 400 * time.Microsecond, answering},
	}
}

// ranking scores candidates for one shopper after another, as a ranker does.
func ranking(m models.Model, d *dataset.Dataset) func(i int) {
	r := &features.Request{Shopper: &features.Shopper{Consent: features.AllPurposes}, Item: features.NoRow, Scratch: &features.Scratch{}}
	items, out := make([]features.Row, served), make([]float32, served)
	return func(i int) {
		for k := range items {
			items[k] = features.Row((i*7919 + k*37) % d.NumItems()) // #nosec G115 -- below the number of items
		}
		r.Shopper.Recent = d.History(i % d.NumUsers())
		r.Scratch.Reset()
		m.Score(r, items, out)
	}
}

// following reads one event after another into one state, and takes the vector.
func following(m models.Model, d *dataset.Dataset) func(i int) {
	network := m.(*sequence.Model)
	state, vector := network.NewState(), make([]float32, network.Dim())
	return func(i int) {
		network.Step(state, &d.Log[i%len(d.Log)])
		network.Vector(state, vector)
	}
}

// answering scores candidates for a shopper who did one thing more since the
// answer before; every 200th is a shopper of whom nothing is kept.
func answering(m models.Model, d *dataset.Dataset) func(i int) {
	memories := features.NewMemories(1 << 20)
	r := &features.Request{Shopper: &features.Shopper{Consent: features.AllPurposes}, Item: features.NoRow, Scratch: &features.Scratch{}}
	items, out := make([]features.Row, served), make([]float32, served)
	for k := range items {
		items[k] = features.Row(k * 37 % d.NumItems()) // #nosec G115 -- below the number of items
	}
	return func(i int) {
		if i%200 == 0 {
			r.Shopper.Memory = memories.New()
		}
		r.Shopper.Recent, r.Shopper.Version = d.Log[:300+i%200], uint64(i) // #nosec G115 -- not negative
		r.Scratch.Reset()
		m.Score(r, items, out)
	}
}

func (c *neuralServingCmd) Run(ctx context.Context) error {
	d := servingShop(c.Items)
	var b strings.Builder
	b.WriteString("| request | p50 µs | p99 µs | p99 µs of CPU | allocations | aim, p99 µs |\n|---|---|---|---|---|---|\n")
	for _, s := range servingCases() {
		k, err := kind.Of(s.kind)
		if err != nil {
			return err
		}
		m, err := k.Fit(ctx, models.FitInput{Train: d, Params: json.RawMessage(s.params), Seed: 1})
		if err != nil {
			return err
		}
		wall, cpu, allocations, err := one(s.run(m, d), c.Runs)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("| %s | %.1f | %.1f | %.1f | %.2f | %d |\n", s.title, 1e6*median(wall), 1e6*quantile(wall, .99), 1e6*quantile(cpu, .99), allocations, s.aim.Microseconds())
		fmt.Print(line)
		b.WriteString(line)
	}
	if c.Write == "" {
		return nil
	}
	head := fmt.Sprintf("`go run ./loadtest/peers neural-serving`, %s, commit %s, %s, load average %s at the end. %d requests of each kind, one by one, on one thread; %d items.\n\n",
		time.Now().UTC().Format(time.DateOnly), commit(), machine(), loadAverage(), c.Runs, c.Items)
	return replaceTable(c.Write, head+b.String())
}

// one times each of n runs after a warm-up, by the clock and by the thread's
// CPU time, which waiting for a core does not enter, and counts allocations a
// run.
func one(run func(i int), n int) (wall, cpu samples, allocations float64, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range 500 {
		run(i)
	}
	wall, cpu = make(samples, 0, n), make(samples, 0, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		start, was := time.Now(), threadTime(&err)
		run(i)
		cpu = append(cpu, (threadTime(&err) - was).Seconds())
		wall = append(wall, time.Since(start).Seconds())
	}
	runtime.ReadMemStats(&after)
	return wall, cpu, float64(after.Mallocs-before.Mallocs) / float64(n), err
}

func threadTime(err *error) time.Duration {
	var t unix.Timespec
	if e := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); e != nil {
		*err = e
	}
	return time.Duration(t.Nano())
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(b))[0]
}

// servingShop is shoppers of fifty events each, of three types.
func servingShop(items int) *dataset.Dataset {
	const shoppers, events = 1000, 50
	random := rand.New(rand.NewPCG(1, 5))
	var b dataset.Builder
	for i := range items {
		b.Item(fmt.Sprint(i))
	}
	kinds := []features.EventType{features.View, features.View, features.View, features.CartAdd, features.Purchase}
	for u := range shoppers {
		for n := range events {
			item := int(float64(items) * random.Float64() * random.Float64()) // some are met more often
			b.Add(fmt.Sprint(u), fmt.Sprint(item), "", features.Interaction{
				Type: kinds[random.IntN(len(kinds))], TimeMS: int64(1_700_000_000_000 + u*1000 + n*60_000), Quantity: 1,
			})
		}
	}
	return b.Build()
}
