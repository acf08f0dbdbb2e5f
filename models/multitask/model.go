package multitask

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
	"github.com/attune-rec/attune/models/taste"
)

// Model is a fitted "multitask". Its score is the expected value of showing the
// item, Σ value·probability over the goals. A request without a liked item gets
// NaN. It is immutable and safe for concurrent use.
//
// The probabilities are those of the candidates it was trained on: of
// impressions where the data has them, else among an item met and so many drawn.
type Model struct {
	header
	net     *Network[float32] // weights only: its passes are never run
	weigher *taste.Weigher
	bottom  linalg.Matrix // experts and gates side by side: one product for both
	shift   []float32
}

var (
	_ models.Model  = (*Model)(nil)
	_ models.Funnel = (*Model)(nil)
)

// header is what a release keeps beside the tensors.
type header struct {
	Params Params      `json:"params"`
	Items  int         `json:"items"`
	Platt  [Goals]Line `json:"platt"`
}

// Line is a calibration of logits: Slope·logit + Shift.
type Line struct {
	Slope float64 `json:"slope"`
	Shift float64 `json:"shift"`
}

// model is the present weights as a model of its own.
func (t *trainer) model() *Model {
	m := &Model{
		header:  header{t.params, t.items, [Goals]Line{{Slope: 1}, {Slope: 1}, {Slope: 1}}},
		weigher: t.weigher, net: NewNetwork[float32](0, t.params.Shape, t.params.weights(), nil),
	}
	from := t.nets[0].Params()
	for i, p := range m.net.Params() {
		p.Rows, p.W, p.G = from[i].Rows, slices.Clone(from[i].W), nil
	}
	m.prepare()
	return m
}

// prepare puts the experts and gates side by side.
func (m *Model) prepare() {
	s, b := m.Params.Shape, m.net.Bottom
	layers := slices.Concat(b.Layers, b.Gates)
	width := 0
	for _, l := range layers {
		width += l.W.Cols
	}
	m.bottom, m.shift = linalg.NewMatrix(s.inputs(), width), make([]float32, 0, width)
	at := 0
	for _, l := range layers {
		m.bottom.Sub(0, at, s.inputs(), l.W.Cols).CopyFrom(linalg.MatrixOf(s.inputs(), l.W.Cols, l.W.W))
		m.shift = append(m.shift, l.B.W...)
		at += l.W.Cols
	}
}

// Kind implements models.Model.
func (m *Model) Kind() string { return KindName }

// Items implements models.Model.
func (m *Model) Items() int { return m.header.Items }

// fold fills dst with the shopper's vectors by goal; false when nothing is
// liked. An item counts for the farthest goal it came to.
func (m *Model) fold(r *features.Request, s *features.Scratch, dst []float32) bool {
	history := r.History()
	if len(history) == 0 {
		return false
	}
	d, total := m.Params.Dim, 0
	var counts [Goals]int
	clear(dst)
	// The farthest goal of an item is found by looking back for it: histories
	// are short.
	done := s.Ints(len(history))
	for i := range history {
		it := &history[i]
		if done[i] != 0 || it.Row < 0 || int(it.Row) >= m.header.Items {
			continue
		}
		level := levelOf(m.weigher, it)
		for j := i + 1; j < len(history); j++ {
			if history[j].Row == it.Row {
				done[j] = 1
				level = max(level, levelOf(m.weigher, &history[j]))
			}
		}
		if level == 0 {
			continue
		}
		g := int(level) - 1
		linalg.AddTo(dst[g*d:(g+1)*d], dst[g*d:(g+1)*d], m.net.met(int32(it.Row)))
		counts[g]++
		total++
	}
	for g, n := range counts {
		linalg.Scale(pooled[float32](n), dst[g*d:(g+1)*d])
	}
	return total > 0
}

// Save implements models.Model.
func (m *Model) Save(w models.Writer) error {
	for _, p := range m.net.Params() {
		if err := w.Tensor(p.Name, models.TensorOf(p.W, p.Rows, p.Cols)); err != nil {
			return err
		}
	}
	return w.JSON("model", m.header)
}

func open(r models.Reader) (models.Model, error) {
	m := &Model{}
	if err := r.JSON("model", &m.header); err != nil {
		return nil, err
	}
	p := m.Params
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Dim < 1 || p.Experts < 1 {
		return nil, fmt.Errorf("model of dim %d and %d experts: expected a fitted %q", p.Dim, p.Experts, KindName)
	}
	var err error
	if m.weigher, err = taste.New(taste.Options{Events: p.Events}, nil); err != nil {
		return nil, err
	}
	m.net = NewNetwork[float32](0, p.Shape, p.weights(), nil)
	for _, q := range []*nn.Param[float32]{m.net.Met, m.net.Items, m.net.Bias} {
		q.Rows = m.header.Items
	}
	for _, q := range m.net.Params() {
		t, err := r.Tensor(q.Name)
		if err != nil {
			return nil, err
		}
		q.G = nil
		if q.W, err = models.View[float32](t, q.Rows, q.Cols); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", q.Name, err)
		}
	}
	m.prepare()
	return m, nil
}

// calibrate fits a line on each goal's logits by the held-out shoppers (Platt
// 1999), where enough of them reached the goal and enough did not.
func (m *Model) calibrate(held []*funnel, negatives int, rng *rand.Rand) {
	var logits, labels [Goals][]float64
	var scratch features.Scratch
	s := m.Params.Shape
	user := make([]float32, Goals*s.Dim)
	for _, f := range held {
		v := f.visit(m.header.Items, negatives, rng)
		scratch.Reset()
		w := workOf(&scratch, 1, s, m.bottom.Cols)
		var z [Goals]float32
		for i, item := range v.Items {
			m.without(v, i, user)
			m.start(user, w)
			m.block([]features.Row{features.Row(item)}, w, z[:])
			if s.Chain {
				chained(z[:])
			}
			for g := range Goals {
				label := 0.
				if int(v.Level[i]) > g {
					label = 1
				}
				logits[g], labels[g] = append(logits[g], float64(z[g])), append(labels[g], label)
			}
		}
	}
	for g := range Goals {
		if line, ok := platt(logits[g], labels[g]); ok {
			m.Platt[g] = line
		}
	}
}

// without fills user with the visit's shopper, the i-th candidate's own part
// left out, as training has it.
func (m *Model) without(v Visit, i int, user []float32) {
	d := m.Params.Dim
	clear(user)
	for g, met := range v.Met {
		n := 0
		for at, row := range met {
			if int(v.Level[i])-1 == g && v.Own[i] == int32(at) {
				continue
			}
			linalg.AddTo(user[g*d:(g+1)*d], user[g*d:(g+1)*d], m.net.met(row))
			n++
		}
		linalg.Scale(pooled[float32](n), user[g*d:(g+1)*d])
	}
}
