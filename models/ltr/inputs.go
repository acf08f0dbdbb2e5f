package ltr

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/attune-rec/attune/features"
	data "github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/models"
)

type dataset = data.Dataset

// Inputs works out the numbers that a ranker sees of candidates: for each
// candidate, Width of them. It is immutable and safe for concurrent use.
type Inputs struct {
	parts   []models.Part
	sources []string
	set     *signal.Set
	names   []string
	items   int
	places  []float32 // the logarithm of a place among the retrieved
}

// NewInputs are the inputs that p names, over parts, among which p.Models are.
func NewInputs(p Params, parts []models.Part) (*Inputs, error) {
	width, set, err := p.width()
	if err != nil {
		return nil, err
	}
	in := &Inputs{sources: p.Sources, set: set}
	for _, name := range p.Models {
		found := false
		for _, part := range parts {
			if part.Name == name {
				in.parts, found = append(in.parts, part), true
				in.items = max(in.items, part.Model.Items())
				in.names = append(in.names, "model "+name)
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: the ranker looks at model %q, which is not there", models.ErrParams, name)
		}
	}
	in.names = append(in.names, "place")
	for _, name := range p.Sources {
		in.names = append(in.names, "source "+name)
	}
	for _, name := range set.Columns() {
		in.names = append(in.names, "signal "+name)
	}
	in.names = append(in.names, "position")
	in.places = make([]float32, 1024)
	for i := range in.places {
		in.places[i] = float32(math.Log1p(float64(i)))
	}
	if len(in.names) != width {
		return nil, fmt.Errorf("%w: models are named more than once: %q", models.ErrParams, p.Models)
	}
	return in, nil
}

func (in *Inputs) place(i int) float32 { return in.places[min(i, len(in.places)-1)] }

// Width is how many numbers there are of a candidate.
func (in *Inputs) Width() int { return len(in.names) }

// Names names them: "model factors", "place", "source similar", "signal
// popularity.1", "position".
func (in *Inputs) Names() []string { return in.names }

// Set is the signals among them.
func (in *Inputs) Set() *signal.Set { return in.set }

// Fill works out x, len(items)*Width numbers row by row, of candidates in the
// order of their retrieval; from is as in Model.ScoreFrom, nil where no source
// brought them. A model's scores are brought to mean 0 and deviation 1 over the
// candidates; a signal that is not known is NaN. The last number, the position
// at which the item was shown, is 0: it is known of what was shown only, and
// nothing stands anywhere yet when it is ranked.
func (in *Inputs) Fill(r *features.Request, items []features.Row, from []uint64, x []float32) {
	in.fill(r, items, from, x, r.Scratch.Floats(len(in.parts)))
}

// fill is Fill; inverses are those of the deviations of the models' scores.
func (in *Inputs) fill(r *features.Request, items []features.Row, from []uint64, x, inverses []float32) {
	n, width := len(items), in.Width()
	scores := r.Scratch.Floats(n)
	for k, part := range in.parts {
		part.Model.Score(r, items, scores)
		mean, inverse := spread(scores)
		inverses[k] = inverse
		for i, v := range scores {
			if v-v == 0 {
				x[i*width+k] = (v - mean) * inverse
			} else {
				x[i*width+k] = 0
			}
		}
	}
	at := len(in.parts)
	for i := range items {
		row := x[i*width+at : (i+1)*width]
		place, bits := float32(0), uint64(0)
		if from != nil {
			place, bits = in.place(i), from[i]
		}
		row[0] = place
		for s := range in.sources {
			row[1+s] = float32(bits & 1) // #nosec G115 -- one bit
			bits >>= 1
		}
		row[len(row)-1] = 0
	}
	at += 1 + len(in.sources)
	if n > 0 && in.set.Width() > 0 {
		in.set.Into(r, items, x[at:], width)
	}
}

// spread is the mean of the numbers and the inverse of their deviation, 0 where
// they do not differ.
func spread(x []float32) (mean, inverse float32) {
	var sum, squares float64
	n := 0
	for _, v := range x {
		if v-v == 0 {
			sum += float64(v)
			n++
		}
	}
	if n == 0 {
		return 0, 0
	}
	m := sum / float64(n)
	for _, v := range x {
		if v-v == 0 {
			squares += (float64(v) - m) * (float64(v) - m)
		}
	}
	deviation := math.Sqrt(squares / float64(n))
	if deviation <= 1e-9*math.Abs(m) || deviation == 0 {
		return float32(m), 0
	}
	return float32(m), float32(1 / deviation)
}

// Chosen implements models.Chooser: the parameters fit the same ranker again.
func (m *Model) Chosen() (json.RawMessage, error) { return json.Marshal(m.params) }

// Account implements models.Chooser.
func (m *Model) Account() []string {
	s := m.params.Story
	if s == nil {
		return nil
	}
	lines := []string{fmt.Sprintf("learnt from %d requests, chosen on %d: %s", s.Lists, s.Validation, s.Chosen)}
	for name, v := range s.NDCG {
		lines = append(lines, fmt.Sprintf("ndcg@10 of %s: %.4f", name, v))
	}
	return lines
}
