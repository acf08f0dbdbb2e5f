package milvus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/models/vector/milvus/milvustest"
	"github.com/attune-rec/attune/models/vectortest"
)

// What is done around Milvus passes the suite of every index where Milvus itself finds all.
func TestAroundMilvus(t *testing.T) {
	conformance(t, connect(t, milvus.Config{Address: milvustest.NewServer(t).Address, Search: time.Minute}))
}

// So do filters in words, and large ones.
func TestFiltersAroundMilvus(t *testing.T) {
	cl := connect(t, milvus.Config{Address: milvustest.NewServer(t).Address, Search: time.Minute})
	t.Run("attributes", func(t *testing.T) { attributes(t, cl) })
	t.Run("large filters", func(t *testing.T) { largeFilters(t, cl) })
}

// A collection is filled once, found again, and refused when it is of other
// vectors.
func TestEnsure(t *testing.T) {
	ctx := context.Background()
	s := milvustest.NewServer(t)
	cl := connect(t, milvus.Config{Address: s.Address, Ready: 300 * time.Millisecond})
	vecs := vectortest.Vectors(300, 8, 1)
	rows := milvus.Rows{Vectors: vecs, Dim: 8}
	puts := 0
	count := func(_, _ int) { puts++ }
	for range 2 {
		if err := cl.Ensure(ctx, name, rows, count); err != nil || puts != 1 {
			t.Fatalf("got %v after %d inserts, want it filled once", err, puts)
		}
	}
	x, err := cl.OpenReady(ctx, name, rows)
	if err != nil {
		t.Fatal(err)
	}
	if hits, err := x.Search(ctx, vecs[:8], 10, models.Where{}, nil); err != nil || len(hits) != 10 {
		t.Errorf("got %d hits, %v, want 10", len(hits), err)
	}
	other := vectortest.Vectors(300, 8, 2)
	if _, err := cl.Open(ctx, name, milvus.Rows{Vectors: other, Dim: 8}); !errors.Is(err, milvus.ErrMismatch) {
		t.Errorf("other vectors: got %v, want ErrMismatch", err)
	}
	s.Unready(true)
	if _, err := cl.OpenReady(ctx, name, rows); !errors.Is(err, milvus.ErrMilvus) {
		t.Errorf("not loaded: got %v, want ErrMilvus", err)
	}
	go func() { time.Sleep(50 * time.Millisecond); s.Unready(false) }()
	patient := connect(t, milvus.Config{Address: s.Address})
	if _, err := patient.OpenReady(ctx, name, rows); err != nil {
		t.Errorf("loaded while it waits: got %v", err)
	}
	s.Tamper()
	if _, err := cl.Open(ctx, name, rows); !errors.Is(err, milvus.ErrMismatch) {
		t.Errorf("replaced: got %v, want ErrMismatch", err)
	}
	if err := cl.Ensure(ctx, name, rows, count); err != nil || puts != 2 {
		t.Errorf("got %v after %d inserts, want it filled again", err, puts)
	}
}

// A collection that was filled before there were words stays, and is searched by
// rows.
func TestFilledWithoutWords(t *testing.T) {
	ctx := context.Background()
	s := milvustest.NewServer(t)
	cl := connect(t, milvus.Config{Address: s.Address})
	const n = 4096
	rows := milvus.Rows{Vectors: vectortest.Vectors(n, 8, 1), Dim: 8}
	if err := cl.Ensure(ctx, name, rows, nil); err != nil {
		t.Fatal(err)
	}
	allow := features.NewBitmap(n)
	kind := make([][]string, n)
	for i := 0; i < n; i += 100 {
		allow.Set(features.Row(i))
		kind[i] = []string{"x"}
	}
	rows.Attr = saying(map[string][][]string{"kind": kind})
	if err := cl.Ensure(ctx, name, rows, func(int, int) { t.Error("it was filled again") }); err != nil {
		t.Fatal(err)
	}
	x, err := cl.OpenReady(ctx, name, rows)
	if err != nil {
		t.Fatal(err)
	}
	truth, err := vector.NewExact(rows.Vectors, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	found(t, x, truth, rows.Vectors[:8], 10, "by rows", models.Where{Allow: allow, Attr: map[string][]string{"kind": {"x"}}})
	for expr := range s.Asked() {
		if strings.Contains(expr, "kind") {
			t.Errorf("Milvus was asked by %q, which it was not told", expr)
		}
	}
}

// Publishing drops what nobody needs, and nothing else.
func TestPublishKeeps(t *testing.T) {
	ctx := context.Background()
	s := milvustest.NewServer(t)
	cl := connect(t, milvus.Config{Address: s.Address})
	of := func(version string) milvus.Name { return milvus.Name{Shop: "s", Model: "m", Version: version} }
	for _, v := range []string{"1", "2", "3", "4"} {
		if err := cl.Put(ctx, of(v), milvus.Rows{Vectors: vectortest.Vectors(5, 4, 1), Dim: 4}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []string{"1", "2", "4"} {
		if err := cl.Publish(ctx, of(v), "1", "2", "3", "4"); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.Collections()); got != 4 {
		t.Errorf("got %d collections, want all four kept", got)
	}
	if err := cl.Publish(ctx, of("3")); err != nil {
		t.Fatal(err)
	}
	published, _, err := cl.Published(ctx, of("3"))
	if got := s.Collections(); err != nil || len(got) != 2 || !slices.Contains(got, published) {
		t.Errorf("got %v, %v, want the published one and the one before", got, err)
	}
}

// Whatever happens to the connection, a search ends with an error when its time
// is up, and the same client searches again when the way is good.
func TestFaultsEndInTime(t *testing.T) {
	s := milvustest.NewServer(t)
	p := milvustest.NewProxy(t, s.Address)
	faults(t, p, milvus.Config{Address: p.Address(), Search: 200 * time.Millisecond})
}

// faults runs every fault against a proxy to a server.
func faults(t *testing.T, p *milvustest.Proxy, c milvus.Config) {
	cl := connect(t, c)
	vecs := vectortest.Vectors(200, 8, 1)
	slow := connect(t, milvus.Config{Address: c.Address}) // with time to fill
	n := milvus.Name{Shop: "s", Model: "faults", Version: "1"}
	rows := milvus.Rows{Vectors: vecs, Dim: 8}
	if err := slow.Ensure(context.Background(), n, rows, nil); err != nil {
		t.Fatal(err)
	}
	x, err := cl.OpenReady(context.Background(), n, rows)
	if err != nil {
		t.Fatal(err)
	}
	search := func() error {
		_, err := x.Search(context.Background(), vecs[:8], 5, models.Where{}, nil)
		return err
	}
	for _, f := range []milvustest.Fault{milvustest.Refuse, milvustest.Hang, milvustest.Slow, milvustest.Reset} {
		p.Set(t, f)
		for range 3 {
			if err := search(); !errors.Is(err, milvus.ErrMilvus) {
				t.Errorf("%v: got %v, want ErrMilvus", f, err)
			}
		}
		if err := search(); (f == milvustest.Hang || f == milvustest.Slow) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v: got %v, want the deadline", f, err)
		}
		p.Set(t, milvustest.None)
		err := search()
		for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); err = search() {
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("after %v: got %v, want an answer", f, err)
		}
	}
}
