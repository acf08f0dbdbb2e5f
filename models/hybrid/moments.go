package hybrid

import (
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// gauge knows the mean and the covariance of a part's item vectors, so that the
// mean and the deviation of a request's scores over the whole catalogue follow
// from the request's vector alone, exactly.
type gauge struct {
	embedder models.Embedder
	mean     []float32
	spread   linalg.Matrix // covariance, both triangles
}

// gaugeOf is nil for a part that has no vectors.
func gaugeOf(m models.Model, workers int) *gauge {
	e, ok := m.(models.Embedder)
	if !ok || e.Dim() == 0 || len(e.Vectors()) != m.Items()*e.Dim() || m.Items() == 0 {
		return nil
	}
	dim, n, data := e.Dim(), m.Items(), e.Vectors()
	g := &gauge{embedder: e, mean: make([]float32, dim), spread: linalg.NewMatrix(dim, dim)}
	sums := make([]float64, dim)
	for row := range n {
		for k, v := range data[row*dim:][:dim] {
			sums[k] += float64(v)
		}
	}
	for k, v := range sums {
		g.mean[k] = float32(v / float64(n))
	}
	const block = 4096
	centred := linalg.NewMatrix(min(block, n), dim)
	for from := 0; from < n; from += block {
		rows := min(block, n-from)
		part := centred.Sub(0, 0, rows, dim)
		copy(part.Data, data[from*dim:][:rows*dim])
		for row := range rows {
			linalg.Axpy(-1, g.mean, part.Row(row))
		}
		linalg.SyrkParallel(1/float32(n), part, 1, g.spread, max(workers, 1))
	}
	g.spread.MirrorUpper()
	return g
}

// moments sets dst to the mean and the deviation of the scores that vec gives;
// false when they do not tell items apart.
func (g *gauge) moments(vec, work, dst []float32) bool {
	linalg.DotRows(vec, g.spread.Data, work)
	mean, variance := linalg.Dot(vec, g.mean), float64(linalg.Dot(vec, work))
	deviation := math.Sqrt(max(variance, 0))
	if !tellsApart(float64(mean), deviation) {
		return false
	}
	dst[0], dst[1] = mean, float32(deviation)
	return true
}

func tellsApart(mean, deviation float64) bool {
	return deviation > 1e-6*math.Abs(mean) && deviation > 0 && !math.IsInf(deviation, 1)
}

// vector is the request's, made once.
func (g *gauge) vector(r *features.Request) ([]float32, bool) {
	return r.Scratch.Vector(g.embedder, g.embedder.Dim(), func(dst []float32) bool { return g.embedder.Embed(r, dst) })
}
