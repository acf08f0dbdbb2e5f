package neural

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
	"github.com/attune-rec/attune/models/taste"
)

// Model is a fitted "gmf", "mlp" or "neumf". Scores are logits; a request
// without a liked item gets NaN. It is immutable and safe for concurrent use.
type Model struct {
	header
	net     *Pool[float32] // weights only: its passes are never run
	weigher *taste.Weigher

	// What scoring needs of the first layer, made when the model is: the part
	// of each item, bias included, so that a candidate costs the layers above.
	first linalg.Matrix
}

var (
	_ models.Model     = (*Model)(nil)
	_ models.Explainer = (*Model)(nil)
)

// header is what a release keeps beside the tensors.
type header struct {
	Family string `json:"family"`
	Params Params `json:"params"`
	Items  int    `json:"items"`
}

// model is the present weights as a model of its own.
func (t *trainer) model() *Model {
	m := &Model{
		header: header{t.family, t.params, t.seen.Cols}, weigher: t.weigher,
		net: NewPool[float32](0, t.params.Shape, t.params.Power, nil, nil),
	}
	from := t.nets[0]
	trained := from.Params()
	for i, p := range m.net.Params() {
		p.Rows, p.W, p.G = trained[i].Rows, slices.Clone(trained[i].W), nil
	}
	m.net.Met.W, m.net.Items.W = from.Met.whole(), from.Items.whole() // what is served asks for no attributes
	m.prepare()
	return m
}

// prepare makes the items' part of the first layer.
func (m *Model) prepare() {
	s := m.header.Params.Shape
	if s.MLP == 0 || m.header.Items == 0 {
		return
	}
	l := m.net.Tower.Layers[0]
	m.first = linalg.NewMatrix(m.header.Items, l.W.Cols)
	for i := range m.first.Rows {
		copy(m.first.Row(i), l.B.W)
	}
	items := linalg.MatrixOf(m.header.Items, s.Width(), m.net.Items.W).Sub(0, s.GMF, m.header.Items, s.MLP)
	below := linalg.MatrixOf(2*s.MLP, l.W.Cols, l.W.W).Sub(s.MLP, 0, s.MLP, l.W.Cols)
	linalg.Gemm(false, false, 1, items, below, 1, m.first)
}

// Kind implements models.Model.
func (m *Model) Kind() string { return m.Family }

// Items implements models.Model.
func (m *Model) Items() int { return m.header.Items }

// Params are the parameters it was trained with.
func (m *Model) Params() Params { return m.header.Params }

// fold fills dst with the shopper's vector, and behind it the shopper's part of
// the first layer; false when there is no liked item.
func (m *Model) fold(r *features.Request, dst []float32) bool {
	history := r.History()
	if len(history) == 0 {
		return false
	}
	scratch := r.Workspace()
	p := m.weigher.Profile(history, m.header.Items, scratch)
	width, total := m.header.Params.Width(), float32(0)
	vec := dst[:width]
	clear(dst)
	for i, row := range p.Rows {
		if w := p.Weights[i]; w > 0 {
			total += w
			linalg.Axpy(w, m.net.Met.row(row), vec)
		}
	}
	if total <= 0 {
		return false
	}
	linalg.Scale(m.net.scale(total), vec)
	if s := m.header.Params.Shape; s.MLP > 0 {
		w := m.net.Tower.Layers[0].W
		linalg.AxpyRows(vec[s.GMF:], w.W[:s.MLP*w.Cols], dst[width:])
	}
	return true
}

// scoreBlock is how many candidates pass through the layers at a time.
const scoreBlock = 256

// Score implements models.Scorer.
func (m *Model) Score(r *features.Request, items []features.Row, out []float32) {
	scratch := r.Workspace()
	s := m.header.Params.Shape
	vec, ok := scratch.Vector(m, s.Width()+m.first.Cols, func(dst []float32) bool { return m.fold(r, dst) })
	if !ok {
		for i := range out {
			out[i] = float32(math.NaN())
		}
		return
	}
	tower := m.net.Tower
	// GMF is an inner product once the last layer's weights are in the vector.
	query := scratch.Floats(s.GMF)
	linalg.MulTo(query, vec[:s.GMF], tower.Out.W[:s.GMF])
	widest := 0
	for _, l := range tower.Layers {
		widest = max(widest, l.W.Cols)
	}
	n := min(scoreBlock, len(items))
	a, b := scratch.Floats(n*widest), scratch.Floats(n*widest)
	for lo := 0; lo < len(items); lo += scoreBlock {
		hi := min(lo+scoreBlock, len(items))
		m.block(items[lo:hi], query, vec[s.Width():], a, b, out[lo:hi])
	}
}

// block scores a block: query is the GMF side of the shopper, user their part
// of the first layer; a and b are work.
func (m *Model) block(items []features.Row, query, user, a, b, out []float32) {
	s, tower := m.header.Params.Shape, m.net.Tower
	for i, row := range items {
		if row < 0 || int(row) >= m.header.Items {
			out[i] = float32(math.NaN())
			row = 0
		} else {
			out[i] = tower.Bias.W[0] + m.net.Bias.W[row]
			if s.GMF > 0 {
				out[i] += linalg.Dot(query, m.net.Items.W[int(row)*s.Width():][:s.GMF])
			}
		}
		if s.MLP > 0 {
			linalg.AddTo(a[i*len(user):][:len(user)], m.first.Row(int(row)), user)
		}
	}
	if s.MLP == 0 {
		return
	}
	x := linalg.MatrixOf(len(items), len(user), a[:len(items)*len(user)])
	linalg.ReLU(x.Data, x.Data)
	for _, l := range tower.Layers[1:] {
		y := linalg.MatrixOf(len(items), l.W.Cols, b[:len(items)*l.W.Cols])
		for i := range y.Rows {
			copy(y.Row(i), l.B.W)
		}
		linalg.Gemm(false, false, 1, x, linalg.MatrixOf(l.W.Rows, l.W.Cols, l.W.W), 1, y)
		linalg.ReLU(y.Data, y.Data)
		x, a, b = y, b, a
	}
	for i := range items {
		out[i] += linalg.Dot(x.Row(i), tower.Out.W[s.GMF:])
	}
}

// Explain implements models.Explainer: the items of the history most like the
// item are put to the test by scoring without them.
func (m *Model) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	history := r.History()
	if item < 0 || int(item) >= m.header.Items || len(history) == 0 {
		return models.Evidence{Item: features.NoRow}, false
	}
	p := m.weigher.Profile(history, m.header.Items, new(features.Scratch))
	width := m.header.Params.Width()
	mine := m.net.Items.W[int(item)*width:][:width]
	likeness := map[features.Row]float32{}
	var candidates []features.Row
	for i, row := range p.Rows {
		if p.Weights[i] > 0 && row != int32(item) {
			candidates = append(candidates, features.Row(row))
			likeness[features.Row(row)] = p.Weights[i] * linalg.Dot(mine, m.net.Met.row(row))
		}
	}
	slices.SortStableFunc(candidates, func(a, b features.Row) int { return cmp.Compare(likeness[b], likeness[a]) })
	return m.weigher.Confirm(m, r, item, candidates)
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

func open(family string, r models.Reader) (models.Model, error) {
	m := &Model{}
	if err := r.JSON("model", &m.header); err != nil {
		return nil, err
	}
	p := m.header.Params
	if m.Family != family {
		return nil, fmt.Errorf("model of kind %q: expected %q", m.Family, family)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	var err error
	if m.weigher, err = taste.New(p.Options, nil); err != nil {
		return nil, err
	}
	m.net = NewPool[float32](0, p.Shape, p.Power, nil, nil)
	for _, q := range []*nn.Param[float32]{m.net.Met.Param, m.net.Items.Param, m.net.Bias} {
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
