package milvus_test

import (
	"context"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/models/vector/milvus/milvustest"
	"github.com/attune-rec/attune/models/vectortest"
)

// BenchmarkFilters searches the best 100 in a real Milvus without a filter and under
// some, by rows alone and with words beside them:
//
//	eval "$(.ci/milvus)" && go test -run - -bench Filters ./models/vector/milvus
func BenchmarkFilters(b *testing.B) {
	const n, dim, queries = 200_000, 64, 64
	vecs, qs := vectortest.Vectors(n, dim, 1), vectortest.Vectors(queries, dim, 2)
	ctx := context.Background()
	cl, err := milvus.Connect(ctx, milvus.Config{Address: milvustest.Start(b).Address, Search: 20 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cl.Close() })
	share := map[string]int{"33 %": 3, "10 %": 10, "5 %": 20, "1 %": 100, "0.1 %": 1000}
	name := milvus.Name{Shop: "s", Model: "bench", Version: "1"}
	rows := milvus.Rows{Vectors: vecs, Dim: dim, Attr: map[string]func(int) []string{"category": func(row int) (in []string) {
		for _, what := range []string{"33 %", "10 %", "5 %", "1 %", "0.1 %"} {
			if row*7919%n < n/share[what] { // scattered, one inside the other
				in = append(in, what)
			}
		}
		return in
	}}}
	if err := cl.Put(ctx, name, rows, nil); err != nil {
		b.Fatal(err)
	}
	x, err := cl.Open(ctx, name, rows)
	if err != nil {
		b.Fatal(err)
	}
	truth, err := vector.NewExact(vecs, dim, 2)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("no filter", func(b *testing.B) { under(b, x, truth, qs, models.Where{}) })
	for _, what := range []string{"33 %", "10 %", "5 %", "1 %", "0.1 %"} {
		allow := features.NewBitmap(n)
		for row := range n {
			if row*7919%n < n/share[what] {
				allow.Set(features.Row(row))
			}
		}
		b.Run(what+" by rows", func(b *testing.B) { under(b, x, truth, qs, models.Where{Allow: allow}) })
		b.Run(what+" by words", func(b *testing.B) {
			under(b, x, truth, qs, models.Where{Allow: allow, Attr: map[string][]string{"category": {what}}})
		})
	}
}

// under searches the best 100 of each query in turn under w, and reports what share
// of those that truth finds it finds, of each query once.
func under(b *testing.B, x *milvus.Index, truth models.Index, qs []float32, w models.Where) {
	const k = 100
	ctx, dim := context.Background(), x.Dim()
	found, asked := 0, 0
	for i := 0; b.Loop(); i++ {
		q := qs[i*dim%len(qs):][:dim]
		got, err := x.Search(ctx, q, k, w, nil)
		if err != nil {
			b.Fatal(err)
		}
		if i*dim >= len(qs) {
			continue
		}
		b.StopTimer()
		want, err := truth.Search(ctx, q, k, w, nil)
		if err != nil {
			b.Fatal(err)
		}
		best := features.NewBitmap(x.Len())
		for _, h := range want {
			best.Set(h.Row)
		}
		for _, h := range got {
			if best.Has(h.Row) {
				found++
			}
		}
		asked += len(want)
		b.StartTimer()
	}
	b.ReportMetric(float64(found)/float64(asked), "recall")
}
