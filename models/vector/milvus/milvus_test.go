package milvus_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/models/vector/milvus/milvustest"
	"github.com/attune-rec/attune/models/vectortest"
)

var name = milvus.Name{Shop: "default", Model: "factors", Version: "20260102T150405.000Z-0a"}

// put makes a collection of vecs and opens it.
func put(t *testing.T, cl *milvus.Client, n milvus.Name, r milvus.Rows) *milvus.Index {
	t.Helper()
	if err := cl.Put(context.Background(), n, r, nil); err != nil {
		t.Fatalf("put: %v", err)
	}
	x, err := cl.Open(context.Background(), n, r)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return x
}

// dropping drops its collection when it is closed.
type dropping struct {
	models.Index
	drop func() error
}

func (d dropping) Close() error { return errors.Join(d.Index.Close(), d.drop()) }

// TestMilvus runs all that needs no settings against one server.
func TestMilvus(t *testing.T) {
	s := milvustest.Start(t)
	cl := connect(t, milvus.Config{Address: s.Address, Search: 20 * time.Second})
	t.Run("beside one another", func(t *testing.T) { // Milvus mostly waits for itself
		for what, test := range map[string]func(t *testing.T){
			"conformance":                 func(t *testing.T) { conformance(t, cl) },
			"attributes":                  func(t *testing.T) { attributes(t, cl) },
			"large filters":               func(t *testing.T) { largeFilters(t, cl) },
			"publish, swap and roll back": func(t *testing.T) { publish(t, cl) },
			"database":                    func(t *testing.T) { database(t, s, cl) },
			"faults on the way": func(t *testing.T) {
				p := milvustest.NewProxy(t, s.Address)
				faults(t, p, milvus.Config{Address: p.Address(), Search: 2 * time.Second})
			},
		} {
			t.Run(what, func(t *testing.T) { t.Parallel(); test(t) })
		}
	})
}

func conformance(t *testing.T, cl *milvus.Client) {
	var count atomic.Int64
	vectortest.Run(t, vectortest.Options{
		Recall: .95, Allocates: true, Few: true, Parallel: true,
		Build: func(t *testing.T, vecs []float32, dim int) models.Index {
			n := name
			n.Version = fmt.Sprint("suite-", count.Add(1))
			x := put(t, cl, n, milvus.Rows{Vectors: vecs, Dim: dim})
			return vector.WithTail(dropping{x, func() error { return cl.Drop(context.Background(), n) }}, len(vecs)/dim, dim)
		},
		BuildAttr: func(t *testing.T, vecs []float32, dim int, attr map[string][][]string) models.Index {
			n := name
			n.Version = fmt.Sprint("words-", count.Add(1))
			x := put(t, cl, n, milvus.Rows{Vectors: vecs, Dim: dim, Attr: saying(attr)})
			return dropping{x, func() error { return cl.Drop(context.Background(), n) }}
		},
	})
}

// All vectors of a release are its number: an answer tells which release it is
// of, and whether it mixes two.
func publish(t *testing.T, cl *milvus.Client) {
	const n, dim = 500, 4
	ctx := context.Background()
	of := func(release int) (milvus.Name, milvus.Rows) {
		vecs := make([]float32, n*dim)
		for i := range vecs {
			vecs[i] = float32(release)
		}
		return milvus.Name{Shop: "shop", Model: "m", Version: fmt.Sprint(release)}, milvus.Rows{Vectors: vecs, Dim: dim}
	}
	q := []float32{1, 0, 0, 0}
	var now atomic.Pointer[milvus.Index]
	serve := func(release int) {
		t.Helper()
		name, rows := of(release)
		x := put(t, cl, name, rows)
		if err := cl.Publish(ctx, name); err != nil {
			t.Fatalf("publish %d: %v", release, err)
		}
		now.Store(x)
	}
	serve(1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var answers atomic.Int64
	for range 4 {
		wg.Go(func() {
			newest := float32(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				hits, err := now.Load().Search(ctx, q, 10, models.Where{}, nil)
				if err != nil || len(hits) != 10 {
					t.Errorf("got %d hits, %v, want 10", len(hits), err)
					return
				}
				for _, h := range hits {
					if h.Score != hits[0].Score {
						t.Errorf("an answer mixes %v and %v", hits[0].Score, h.Score)
						return
					}
				}
				if hits[0].Score < newest {
					t.Errorf("got release %v after %v", hits[0].Score, newest)
					return
				}
				newest = hits[0].Score
				answers.Add(1)
			}
		})
	}
	serve(2)
	serve(3)
	close(stop)
	wg.Wait()
	if answers.Load() == 0 {
		t.Error("no answer during the swaps")
	}
	one, _ := of(1)
	two, rows2 := of(2)
	three, rows3 := of(3)
	if _, err := cl.Open(ctx, one, rows2); !errors.Is(err, milvus.ErrMilvus) {
		t.Errorf("release 1 after 3: got %v, want it dropped", err)
	}
	if err := cl.Drop(ctx, three); !errors.Is(err, milvus.ErrPublished) {
		t.Errorf("drop of what is published: got %v, want ErrPublished", err)
	}
	if err := cl.Put(ctx, three, rows3, nil); !errors.Is(err, milvus.ErrPublished) {
		t.Errorf("put over what is published: got %v, want ErrPublished", err)
	}
	if err := cl.Publish(ctx, two); err != nil { // roll back
		t.Fatalf("roll back: %v", err)
	}
	if got, ok, err := cl.Published(ctx, two); err != nil || !ok {
		t.Errorf("published: got %q, %v, %v", got, ok, err)
	}
	x, err := cl.Open(ctx, two, rows2)
	if err != nil {
		t.Fatalf("open after the roll back: %v", err)
	}
	if hits, err := x.Search(ctx, q, 3, models.Where{}, nil); err != nil || len(hits) != 3 || hits[0].Score != 2 {
		t.Errorf("after the roll back: got %v, %v, want release 2", hits, err)
	}
	if err := cl.Drop(ctx, three); err != nil {
		t.Errorf("drop of what is published no more: %v", err)
	}
	if _, err := cl.Open(ctx, two, milvus.Rows{Vectors: rows2.Vectors[:dim], Dim: dim}); !errors.Is(err, milvus.ErrMismatch) {
		t.Errorf("open with other rows: got %v, want ErrMismatch", err)
	}
}

func database(t *testing.T, s *milvustest.Real, cl *milvus.Client) {
	if err := cl.CreateDatabase(context.Background(), "tenant"); err != nil {
		t.Fatal(err)
	}
	if err := cl.CreateDatabase(context.Background(), "tenant"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	other := connect(t, milvus.Config{Address: s.Address, Database: "tenant"})
	n := milvus.Name{Shop: "s", Model: "m", Version: "db"}
	vecs := vectortest.Vectors(10, 4, 1)
	put(t, other, n, milvus.Rows{Vectors: vecs, Dim: 4})
	if _, err := cl.Open(context.Background(), n, milvus.Rows{Vectors: vecs, Dim: 4}); !errors.Is(err, milvus.ErrMilvus) {
		t.Errorf("another database's collection: got %v, want ErrMilvus", err)
	}
	if _, err := milvus.Connect(context.Background(), milvus.Config{Address: s.Address, Database: "absent", Dial: 3 * time.Second}); !errors.Is(err, milvus.ErrMilvus) {
		t.Errorf("a database that is not there: got %v, want ErrMilvus", err)
	}
}

// A search under way when the server dies ends with an error when its time is
// up; after a restart the same connection answers again.
func TestMilvusKilled(t *testing.T) {
	s := milvustest.Start(t)
	const limit = 2 * time.Second
	cl := connect(t, milvus.Config{Address: s.Address, Search: limit})
	vecs := vectortest.Vectors(3000, 8, 1)
	n := milvus.Name{Shop: "s", Model: "killed", Version: "1"}
	x := put(t, cl, n, milvus.Rows{Vectors: vecs, Dim: 8})
	if err := cl.Publish(context.Background(), n); err != nil {
		t.Fatal(err)
	}
	want, err := x.Search(context.Background(), vecs[:8], 10, models.Where{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	searching, failed := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; ; i++ {
			if i == 5 {
				close(searching)
			}
			began := time.Now()
			if _, err := x.Search(context.Background(), vecs[:8], 10, models.Where{}, nil); err != nil {
				if late := time.Since(began); late > limit+10*time.Second { // not when but that: the machine may be busy
					err = fmt.Errorf("only after %v: %w", late, context.Canceled)
				}
				failed <- err
				return
			}
		}
	}()
	<-searching
	s.Kill()
	if err := <-failed; !errors.Is(err, milvus.ErrMilvus) || errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrMilvus in time", err)
	}
	if _, err := x.Search(context.Background(), vecs[:8], 10, models.Where{}, nil); !errors.Is(err, milvus.ErrMilvus) {
		t.Errorf("while it is down: got %v, want ErrMilvus", err)
	}
	s.Start(t)
	deadline := time.Now().Add(3 * time.Minute) // it says "not loaded" for half a minute
	for {
		got, err := x.Search(context.Background(), vecs[:8], 10, models.Where{}, nil)
		if err == nil && len(got) == len(want) && got[0] == want[0] {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the restart: got %v, %v, want %v", got, err, want)
		}
		time.Sleep(500 * time.Millisecond)
	}
	if _, ok, err := cl.Published(context.Background(), n); err != nil || !ok {
		t.Errorf("the alias after the restart: %v, %v", ok, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for what, c := range map[string]milvus.Config{
		"no address": {}, "half of the credentials": {Address: "localhost:1", Username: "root"},
		"consistency": {Address: "localhost:1", Consistency: "some"}, "time": {Address: "localhost:1", Search: -1},
		"size": {Address: "localhost:1", M: -1},
	} {
		if _, err := milvus.Connect(context.Background(), c); !errors.Is(err, milvus.ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", what, err)
		}
	}
	began := time.Now()
	if _, err := milvus.Connect(context.Background(), milvus.Config{Address: "localhost:1", Dial: 50 * time.Millisecond}); !errors.Is(err, milvus.ErrMilvus) {
		t.Errorf("nobody there: got %v after %v, want ErrMilvus", err, time.Since(began))
	}
}

func TestRowsAreChecked(t *testing.T) {
	var cl milvus.Client
	for what, r := range map[string]milvus.Rows{
		"none": {Dim: 3}, "ragged": {Vectors: make([]float32, 4), Dim: 3}, "NaN": {Vectors: []float32{float32(math.NaN())}, Dim: 1},
		"attribute's name": {Vectors: make([]float32, 1), Dim: 1, Attr: saying(map[string][][]string{"a b": {{"x"}}})},
	} {
		if err := cl.Put(context.Background(), name, r, nil); !errors.Is(err, milvus.ErrRows) {
			t.Errorf("%s: got %v, want ErrRows", what, err)
		}
	}
}
