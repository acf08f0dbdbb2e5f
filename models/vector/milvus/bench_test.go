package milvus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/models/vector/milvus/milvustest"
	"github.com/attune-rec/attune/models/vectortest"
)

// BenchmarkFilters searches the best 100 under filters in a real Milvus, by rows
// alone and with words beside them:
//
//	eval "$(.ci/milvus)" && go test -run - -bench Filters ./models/vector/milvus
func BenchmarkFilters(b *testing.B) {
	const n, dim, k, queries = 200_000, 64, 100, 64
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
	for _, what := range []string{"33 %", "10 %", "5 %", "1 %", "0.1 %"} {
		allow := features.NewBitmap(n)
		for row := range n {
			if row*7919%n < n/share[what] {
				allow.Set(features.Row(row))
			}
		}
		for _, by := range []string{"rows", "words"} {
			w := models.Where{Allow: allow}
			if by == "words" {
				w.Attr = map[string][]string{"category": {what}}
			}
			b.Run(fmt.Sprintf("%s by %s", what, by), func(b *testing.B) {
				found, asked := 0, 0
				for i := 0; b.Loop(); i++ {
					q := qs[i%queries*dim:][:dim]
					got, err := x.Search(ctx, q, k, w, nil)
					if err != nil {
						b.Fatal(err)
					}
					if i >= queries {
						continue
					}
					b.StopTimer()
					want, err := truth.Search(ctx, q, k, w, nil)
					if err != nil {
						b.Fatal(err)
					}
					best := features.NewBitmap(n)
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
			})
		}
	}
}
