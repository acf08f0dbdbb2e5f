package modeltest

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
)

// Options says what the suite may expect of a kind.
type Options struct {
	Params       string                                               // JSON; "" is the kind's defaults
	Size         int                                                  // of the board; 0 means 50
	Impersonal   bool                                                 // the same for everyone: no checkerboard, no explanations
	SameContents bool                                                 // it sees contents only, which do not tell items of one colour apart: no checkerboard
	Parts        func(t *testing.T, d *dataset.Dataset) []models.Part // of a composite
	InOrder      bool                                                 // it predicts what comes next: each history of the board in an order of its own, see Shuffle
	Allocates    bool                                                 // a steady Score may allocate: only for models that never serve
	Listwise     bool                                                 // a score is that among the candidates asked for together, and so is its explanation
}

const seed = 7

// Run holds the kind to the contract of models.Model: the checkerboard, batch
// equal to single, a part of the items scored as among all, saved equal to fitted, no NaN, unseen users, renumbered
// items, vectors that agree with scores, explanations that are true, no
// allocation in a steady request, and safety for concurrent use.
func Run(t *testing.T, kind models.Kind, o Options) {
	t.Helper()
	if o.Size == 0 {
		o.Size = 50
	}
	d := o.board(nil)
	m := o.fit(t, kind, d)
	if m.Kind() != kind.Name || m.Items() != d.NumItems() {
		t.Fatalf("got kind %q with %d items, want %q with %d", m.Kind(), m.Items(), kind.Name, d.NumItems())
	}
	t.Run("finite", func(t *testing.T) { finite(t, m, d) })
	t.Run("unseen user", func(t *testing.T) { unseen(t, m, d) })
	t.Run("batch equals single", func(t *testing.T) { batch(t, m, d) })
	t.Run("subset equals whole", func(t *testing.T) { subset(t, m, d, o) })
	t.Run("saved equals fitted", func(t *testing.T) { saved(t, kind, m, d) })
	t.Run("same seed, same model", func(t *testing.T) { equal(t, m, o.fit(t, kind, d), d, 0) })
	t.Run("refuses unknown parameters", func(t *testing.T) { refuses(t, kind, d, o) })
	t.Run("vectors agree with scores", func(t *testing.T) { vectors(t, m, d) })
	t.Run("concurrent use", func(t *testing.T) { concurrent(t, m, d) })
	t.Run("steady requests do not allocate", func(t *testing.T) { steady(t, m, d, o) })
	if o.Impersonal {
		return
	}
	t.Run("explanations are true", func(t *testing.T) { explains(t, m, d, o) })
	t.Run("colours", func(t *testing.T) { colours(t, m, d) })
	if o.SameContents {
		return
	}
	t.Run("checkerboard", func(t *testing.T) { checkerboard(t, m, d, nil) })
	perm := rand.New(rand.NewPCG(seed, 1)).Perm(o.Size)
	t.Run("renumbered items", func(t *testing.T) {
		renumbered := o.board(perm)
		checkerboard(t, o.fit(t, kind, renumbered), renumbered, perm)
	})
}

func (o Options) board(perm []int) *dataset.Dataset {
	d := Board(o.Size, perm)
	if o.InOrder {
		Shuffle(d)
	}
	return d
}

func (o Options) fit(t *testing.T, kind models.Kind, d *dataset.Dataset) models.Model {
	t.Helper()
	in := models.FitInput{Train: d, Params: json.RawMessage(o.Params), Seed: seed, Workers: 2}
	if o.Parts != nil {
		in.Parts = o.Parts(t, d)
	}
	m, err := kind.Fit(context.Background(), in)
	if err != nil {
		t.Fatalf("fit: %v", err)
	}
	return m
}

func allRows(n int) []features.Row {
	rows := make([]features.Row, n)
	for i := range rows {
		rows[i] = features.Row(i)
	}
	return rows
}

func scores(m models.Model, r *features.Request, items []features.Row) []float32 {
	out := make([]float32, len(items))
	if r.Scratch != nil {
		r.Scratch.Reset()
	}
	m.Score(r, items, out)
	return out
}

func checkerboard(t *testing.T, m models.Model, d *dataset.Dataset, perm []int) {
	for u := range d.Users {
		seen := features.NewBitmap(d.NumItems())
		for _, it := range d.History(u) {
			seen.Set(it.Row)
		}
		best, at := math.Inf(-1), features.NoRow
		for row, s := range scores(m, Request(d, u), allRows(d.NumItems())) {
			if !seen.Has(features.Row(row)) && float64(s) > best {
				best, at = float64(s), features.Row(row)
			}
		}
		want := features.Row(u)
		if perm != nil {
			want = features.Row(perm[u])
		}
		if at != want {
			t.Fatalf("user %d: got best new item %d, want %d", u, at, want)
		}
	}
}

// colours: every item of the user's own colour is before every other.
func colours(t *testing.T, m models.Model, d *dataset.Dataset) {
	for u := range d.Users {
		own, other := math.Inf(1), math.Inf(-1)
		for row, s := range scores(m, Request(d, u), allRows(d.NumItems())) {
			if row%2 == u%2 {
				own = min(own, float64(s))
			} else {
				other = max(other, float64(s))
			}
		}
		if !(own > other) {
			t.Fatalf("user %d: got %v for an item of their colour and %v for another, want more", u, own, other)
		}
	}
}

func finite(t *testing.T, m models.Model, d *dataset.Dataset) {
	for u := range d.Users {
		for row, s := range scores(m, Request(d, u), allRows(d.NumItems())) {
			if math.IsNaN(float64(s)) || math.IsInf(float64(s), 0) {
				t.Fatalf("user %d, item %d: got score %v, want a finite number", u, row, s)
			}
		}
	}
}

func unseen(t *testing.T, m models.Model, d *dataset.Dataset) {
	rows := allRows(d.NumItems())
	for name, s := range map[string]*features.Shopper{
		"nobody":     nil,
		"no history": {Consent: features.AllPurposes},
		"no consent": {Recent: d.History(0)},
		"one event":  {Recent: d.History(0)[:1], Consent: features.AllPurposes},
	} {
		r := Request(d, 0)
		r.Shopper = s
		got := scores(m, r, rows)
		for row, v := range got {
			if math.IsInf(float64(v), 0) {
				t.Fatalf("%s, item %d: got %v, want a number or NaN", name, row, v)
			}
		}
		if name == "no consent" {
			r.Shopper = nil
			same(t, "no consent against nobody", got, scores(m, r, rows), 0)
		}
	}
	r := Request(d, 0)
	r.Scratch = nil
	same(t, "without scratch", scores(m, Request(d, 0), rows), scores(m, r, rows), 0)
	past := []features.Row{features.Row(d.NumItems()), features.Row(d.NumItems() + 5)}
	for _, v := range scores(m, Request(d, 0), past) {
		if math.IsInf(float64(v), 0) {
			t.Fatalf("tail item: got %v, want a number or NaN", v)
		}
	}
}

func same(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	for i := range want {
		g, w := float64(got[i]), float64(want[i])
		if math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if !(math.Abs(g-w) <= tolerance*(1+math.Abs(w))) {
			t.Fatalf("%s: number %d: got %v, want %v", what, i, g, w)
		}
	}
}

func batch(t *testing.T, m models.Model, d *dataset.Dataset) {
	b, ok := m.(models.BatchScorer)
	if !ok {
		t.Skip("no batches")
	}
	rows := allRows(d.NumItems())
	rs := make([]*features.Request, 0, len(d.Users)+1)
	for u := range d.Users {
		rs = append(rs, Request(d, u))
	}
	cold := Request(d, 0)
	cold.Shopper = nil
	rs = append(rs, cold)
	got := make([]float32, len(rs)*len(rows))
	b.ScoreMany(rs, rows, got)
	for i, r := range rs {
		same(t, "batch", got[i*len(rows):(i+1)*len(rows)], scores(m, r, rows), 1e-5)
	}
}

func subset(t *testing.T, m models.Model, d *dataset.Dataset, o Options) {
	r := Request(d, 3)
	whole := scores(m, r, allRows(d.NumItems()))
	rows := []features.Row{7, 2, 2, features.Row(d.NumItems() - 1), 0}
	if o.Listwise { // another list, other scores; but not by the order of one
		rows = allRows(d.NumItems())
		slices.Reverse(rows)
	}
	want := make([]float32, len(rows))
	for i, row := range rows {
		want[i] = whole[row]
	}
	same(t, "subset", scores(m, r, rows), want, 1e-5)
}

func saved(t *testing.T, kind models.Kind, m models.Model, d *dataset.Dataset) {
	var parts []models.Part
	if c, ok := m.(models.Composite); ok {
		parts = c.Parts()
	}
	mem := NewMemory(parts...)
	if err := m.Save(mem.Writer()); err != nil {
		t.Fatalf("save: %v", err)
	}
	opened, err := kind.Open(mem.Reader())
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	equal(t, opened, m, d, 0)
	for name := range mem.Tensors {
		broken := *mem
		broken.Tensors = map[string]models.Tensor{}
		for other, tensor := range mem.Tensors {
			if other != name {
				broken.Tensors[other] = tensor
			}
		}
		if _, err := kind.Open(broken.Reader()); err == nil {
			t.Errorf("open without tensor %q: got no error", name)
		}
	}
}

func equal(t *testing.T, got, want models.Model, d *dataset.Dataset, tolerance float64) {
	t.Helper()
	rows := allRows(d.NumItems())
	for u := range d.Users {
		same(t, "scores", scores(got, Request(d, u), rows), scores(want, Request(d, u), rows), tolerance)
	}
}

func refuses(t *testing.T, kind models.Kind, d *dataset.Dataset, o Options) {
	in := models.FitInput{Train: d, Params: json.RawMessage(`{"no_such_parameter": 1}`), Seed: seed}
	if o.Parts != nil {
		in.Parts = o.Parts(t, d)
	}
	if _, err := kind.Fit(context.Background(), in); !errors.Is(err, models.ErrParams) {
		t.Fatalf("got %v, want ErrParams", err)
	}
}

func vectors(t *testing.T, m models.Model, d *dataset.Dataset) {
	e, ok := m.(models.Embedder)
	if !ok {
		t.Skip("no vectors")
	}
	dim := e.Dim()
	if len(e.Vectors()) != dim*d.NumItems() {
		t.Fatalf("got %d numbers for %d items of dimension %d", len(e.Vectors()), d.NumItems(), dim)
	}
	q := make([]float32, dim)
	for u := range d.Users {
		r := Request(d, u)
		if !e.Embed(r, q) {
			t.Fatalf("user %d has a history and no vector", u)
		}
		got := scores(m, r, allRows(d.NumItems()))
		want := make([]float32, len(got))
		for i := range want {
			var s float64
			for k := range dim {
				s += float64(q[k]) * float64(e.Vectors()[i*dim+k])
			}
			want[i] = float32(s)
		}
		same(t, "inner product", got, want, 1e-4)
	}
	r := Request(d, 0)
	r.Shopper = nil
	if e.Embed(r, q) {
		t.Fatal("nobody has a vector")
	}
}

func explains(t *testing.T, m models.Model, d *dataset.Dataset, o Options) {
	e, ok := m.(models.Explainer)
	if !ok {
		t.Skip("no explanations")
	}
	explained := 0
	// With items of one colour only, what rests on each of them is the same for all
	// of that colour, and where scores are standardised they hardly move without it.
	history := func(u int) []features.Interaction {
		own, other := d.History(u), d.History((u+1)%len(d.Users))
		return []features.Interaction{own[0], other[0], own[1]}
	}
	score := func(r *features.Request, item features.Row) float32 { return scores(m, r, []features.Row{item})[0] }
	if o.Listwise {
		score = func(r *features.Request, item features.Row) float32 { return scores(m, r, allRows(d.NumItems()))[item] }
	}
	with := func(u int, h []features.Interaction) *features.Request {
		r := Request(d, u)
		r.Shopper = &features.Shopper{Recent: h, Consent: features.AllPurposes}
		return r
	}
	for u := range d.Users {
		r := with(u, history(u))
		item := features.Row(u)
		if o.Listwise {
			score(r, item) // only what was ranked is explained
		}
		ev, ok := e.Explain(r, item)
		if !ok {
			continue
		}
		explained++
		if ev.Item == features.NoRow || !(ev.Contribution > 0) {
			t.Fatalf("user %d: got evidence %+v, want an item with a contribution above 0", u, ev)
		}
		before := score(r, item)
		var rest []features.Interaction
		for _, it := range history(u) {
			if it.Row != ev.Item {
				rest = append(rest, it)
			}
		}
		if len(rest) == len(history(u)) {
			t.Fatalf("user %d: evidence %d is not in the history", u, ev.Item)
		}
		if after := score(with(u, rest), item); !(after < before) {
			t.Fatalf("user %d: score is %v with the evidence and %v without it, want less", u, before, after)
		}
	}
	if explained == 0 {
		t.Fatal("nothing was explained")
	}
}

func concurrent(t *testing.T, m models.Model, d *dataset.Dataset) {
	rows := allRows(d.NumItems())
	want := scores(m, Request(d, 1), rows)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := Request(d, 1)
			for range 20 {
				same(t, "concurrent", scores(m, r, rows), want, 0)
			}
		}()
	}
	wg.Wait()
}

func steady(t *testing.T, m models.Model, d *dataset.Dataset, o Options) {
	if o.Allocates {
		t.Skip("never serves")
	}
	if raced.On {
		t.Skip("the race detector empties pools at random")
	}
	r := Request(d, 2)
	rows := allRows(d.NumItems())
	out := make([]float32, len(rows))
	score := func() {
		r.Scratch.Reset()
		m.Score(r, rows, out)
	}
	for range 3 {
		score()
	}
	if got := testing.AllocsPerRun(50, score); got != 0 {
		t.Fatalf("got %v allocations a request, want none", got)
	}
}
