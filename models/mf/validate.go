package mf

import (
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// stopper keeps the best model seen and says when to stop looking.
type stopper struct {
	patience int
	model    models.Model
	value    float64
	worse    int
}

// offer reports whether patience has run out.
func (s *stopper) offer(m models.Model, value float64) bool {
	if s.model == nil || value > s.value {
		s.model, s.value, s.worse = m, value, 0
		return false
	}
	s.worse++
	return s.worse >= s.patience
}

// ndcg is the mean NDCG@20 over at most 2,000 users of validate, evenly spread,
// each ranked over the items that train does not show the user to have met.
func ndcg(m models.Scorer, train, validate *dataset.Dataset, workers int) float64 {
	const cut, most = 20, 2000
	var users []int
	for u := range validate.Users {
		if len(validate.History(u)) > 0 && len(train.History(u)) > 0 {
			users = append(users, u)
		}
	}
	if len(users) == 0 {
		return 0
	}
	stride := max(1, len(users)/most)
	values := make([]float64, (len(users)+stride-1)/stride)
	items := make([]features.Row, train.NumItems())
	for i := range items {
		items[i] = features.Row(i)
	}
	linalg.ParallelN(len(values), 16, workers, func(_, lo, hi int) {
		scores := make([]float32, len(items))
		var top linalg.TopK
		var best []linalg.Scored
		r := &features.Request{Item: features.NoRow, Scratch: new(features.Scratch)}
		for i := lo; i < hi; i++ {
			u := users[i*stride]
			r.Shopper = &features.Shopper{Recent: train.History(u), Consent: features.AllPurposes}
			r.Scratch.Reset()
			m.Score(r, items, scores)
			for _, it := range train.History(u) {
				scores[it.Row] = float32(math.NaN())
			}
			top.Reset(cut)
			top.PushBlock(0, scores)
			best = top.Sorted(best[:0])
			values[i] = gain(best, validate.History(u), cut)
		}
	})
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func gain(best []linalg.Scored, wanted []features.Interaction, cut int) float64 {
	distinct := make(map[features.Row]bool, len(wanted))
	for _, it := range wanted {
		distinct[it.Row] = true
	}
	var got, ideal float64
	for place, hit := range best {
		if distinct[features.Row(hit.Index)] {
			got += 1 / math.Log2(float64(place)+2)
		}
	}
	for place := range min(cut, len(distinct)) {
		ideal += 1 / math.Log2(float64(place)+2)
	}
	return got / ideal
}
