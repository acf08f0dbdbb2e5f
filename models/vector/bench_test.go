package vector_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vectortest"
)

func rowOf(i int) features.Row { return features.Row(i) }

const benchRows, benchDim, benchTop = 100_000, 64, 100

var benchVectors = sync.OnceValue(func() []float32 { return vectortest.Vectors(benchRows, benchDim, 1) })

func BenchmarkExactSearch(b *testing.B) {
	x := exact(b, benchVectors(), benchDim)
	qs := vectortest.Vectors(64, benchDim, 2)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, share := range []float64{1, .5, .1, .05, .01, .001} {
		w := models.Where{}
		if share < 1 {
			w.Allow = features.NewBitmap(benchRows)
			for i := range benchRows {
				if rng.Float64() < share {
					w.Allow.Set(features.Row(i))
				}
			}
		}
		b.Run(fmt.Sprintf("allowed=%g", share), func(b *testing.B) {
			dst := make([]models.Hit, 0, benchTop)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var err error
				if dst, err = x.Search(context.Background(), qs[i%64*benchDim:][:benchDim], benchTop, w, dst[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkExactSearchMany(b *testing.B) {
	x := exact(b, benchVectors(), benchDim)
	for _, n := range []int{8, 64} {
		qs := vectortest.Vectors(n, benchDim, 2)
		dst := make([][]models.Hit, n)
		b.Run(fmt.Sprintf("queries=%d", n), func(b *testing.B) {
			for b.Loop() {
				for i := range dst {
					dst[i] = dst[i][:0]
				}
				if err := x.SearchMany(context.Background(), qs, benchTop, models.Where{}, dst); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "queries/s")
		})
	}
}

func BenchmarkTailedSearch(b *testing.B) {
	x := vector.WithTail(exact(b, benchVectors(), benchDim), benchRows, benchDim)
	fresh := vectortest.Vectors(1000, benchDim, 3)
	for i := range 1000 {
		if err := x.Upsert(features.Row(benchRows+i), fresh[i*benchDim:][:benchDim]); err != nil {
			b.Fatal(err)
		}
	}
	qs := vectortest.Vectors(64, benchDim, 2)
	dst := make([]models.Hit, 0, benchTop)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var err error
		if dst, err = x.Search(context.Background(), qs[i%64*benchDim:][:benchDim], benchTop, models.Where{}, dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewExact(b *testing.B) {
	vecs := benchVectors()
	for b.Loop() {
		exact(b, vecs, benchDim)
	}
}

// BenchmarkChoice prints what Build's choice rests on, as rows/width: how many
// rows an exact index scans, rows without neighbourhoods, which it can leave none
// of out, in the time in which a walk advances its width by one:
//
//	go test -run xxx -bench Choice -benchtime 2000x ./models/vector
func BenchmarkChoice(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	vecs := make([]float32, benchRows*benchDim)
	for i := range vecs {
		vecs[i] = float32(rng.NormFloat64())
	}
	graph := hnsw(b, vecs, benchDim, vector.HNSWOptions{Width: 100, Workers: 2})
	spent := func(x models.Index) float64 {
		began := time.Now()
		for i := range b.N {
			q := vecs[i*7919%benchRows*benchDim:][:benchDim]
			if _, err := x.Search(b.Context(), q, benchTop, models.Where{}, nil); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(began).Seconds() / float64(b.N)
	}
	narrow, wide, scan := spent(graph), spent(graph.WithWidth(500)), spent(exact(b, vecs, benchDim))
	b.ReportMetric((wide-narrow)/400/(scan/benchRows), "rows/width")
}
