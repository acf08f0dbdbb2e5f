package taste

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// confirmed is how many candidates Confirm puts to the test.
const confirmed = 3

// Confirm returns the evidence among candidates whose absence lowers item's
// score most, by scoring the request again without the candidate's
// interactions. Only the first few are tried: the caller sorts by what it
// expects. False when no score falls.
func (w *Weigher) Confirm(m models.Scorer, r *features.Request, item features.Row, candidates []features.Row) (models.Evidence, bool) {
	history := r.History()
	if len(history) == 0 {
		return models.Evidence{Item: features.NoRow}, false
	}
	q, _ := w.questions.Get().(*question)
	if q == nil {
		q = new(question)
	}
	defer w.questions.Put(q)
	q.items[0] = item
	m.Score(r, q.items[:], q.score[:])
	before := q.score[0]
	q.request, q.shopper = *r, *r.Shopper
	q.request.Shopper, q.request.Scratch = &q.shopper, &q.scratch
	defer func() { q.request, q.shopper = features.Request{}, features.Shopper{} }()
	best := models.Evidence{Item: features.NoRow}
	for _, c := range candidates[:min(len(candidates), confirmed)] {
		if c == item {
			continue
		}
		rest := Without(q.rest[:0], history, c)
		q.rest = rest
		after := float32(0) // of a shopper of whom nothing is known
		if len(rest) > 0 {
			q.shopper.Recent = rest
			q.scratch.Reset()
			m.Score(&q.request, q.items[:], q.score[:])
			after = q.score[0]
		}
		if fall := before - after; fall > best.Contribution {
			best = models.Evidence{Item: c, Type: w.Strongest(history, c), Contribution: fall}
		}
	}
	return best, best.Item != features.NoRow
}

// Without appends to dst what of a history is not about row.
func Without(dst, history []features.Interaction, row features.Row) []features.Interaction {
	for i := range history {
		if history[i].Row != row {
			dst = append(dst, history[i])
		}
	}
	return dst
}

// Foremost are the rows whose terms are above 0, the largest first: candidates
// for Confirm, of a model whose score is about the sum of terms.
func Foremost(rows []int32, terms []float32) []features.Row {
	var out []features.Row
	for _, s := range linalg.SelectTop(terms, len(terms), nil) {
		if s.Score > 0 {
			out = append(out, features.Row(rows[s.Index]))
		}
	}
	return out
}

// question is the memory of one confirmation: the request without a candidate.
type question struct {
	request features.Request
	shopper features.Shopper
	scratch features.Scratch
	rest    []features.Interaction
	items   [1]features.Row
	score   [1]float32
}
