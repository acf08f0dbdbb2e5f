package content

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/text"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// Map leads from what is said of an item to its vector in another model's
// space: ridge regression of the vectors of items that people met on what the
// catalogue says of them (Gantner et al. 2010, "Learning Attribute-to-Feature
// Mappings for Cold-Start Recommendations", with a linear map). It is immutable
// and safe for concurrent use.
type Map struct {
	space   *Space
	weights linalg.Matrix // (the space's factors and a constant) x the other model's numbers
	gain    float64
}

// Target is what a map is to reach.
type Target struct {
	Vectors linalg.Matrix // items x the other model's numbers
	Trust   []float32     // of each item's vector; 0: nobody met the item, its vector says nothing
	// Metric is what an error is measured by: e's size is eᵀ·Metric·e, both
	// triangles given. A matrix without rows stands for the identity.
	Metric linalg.Matrix
}

// ridges are the strengths of regularisation that are tried, as shares of the
// mean trust of all items.
var ridges = []float64{.01, .1, 1, 10, 100}

// enough is the items held out whose errors tell what a map is worth; of fewer,
// further tenths are held out in turn: by one tenth of some hundred items, chance
// would say whether there is a map at all.
const enough = 500

// NewMap fits a map from the items' vectors in space, and chooses its
// regularisation on seeded tenths of the items that it does not see. Nil when
// there are too few items to tell.
func NewMap(space *Space, vectors linalg.Matrix, t Target, seed uint64, workers int) (*Map, error) {
	const tenths = 10
	rng := rand.New(rand.NewPCG(seed, 0x3a9))
	parts := make([][]int, tenths) // by turn
	for i, trust := range t.Trust {
		if trust > 0 && !blank(vectors.Row(i)) {
			turn := int(tenths * rng.Float64())
			parts[turn] = append(parts[turn], i)
		}
	}
	truth, errs, seen := 0., make([]float64, len(ridges)), 0
	for turn := 0; turn < tenths && seen < enough; turn++ {
		held, fit := parts[turn], slices.Concat(slices.Concat(parts[:turn]...), slices.Concat(parts[turn+1:]...))
		slices.Sort(fit)
		if len(held) < 3 || len(fit) < 10 {
			continue
		}
		seen += len(held)
		truth += apart(t, held, nil, workers)
		gram, right := normal(vectors, t, fit, workers)
		for at, r := range ridges {
			w, err := solve(gram, right, r*meanTrust(t, fit), workers)
			if err != nil {
				return nil, err
			}
			guess := predict(vectors, w, held, workers)
			errs[at] += apart(t, held, &guess, workers)
		}
	}
	if seen == 0 {
		return nil, nil
	}
	best, ridge := math.Inf(-1), 0.
	for at, r := range ridges {
		if gain := 1 - errs[at]/truth; gain > best {
			best, ridge = gain, r
		}
	}
	all := slices.Concat(parts...)
	slices.Sort(all)
	gram, right := normal(vectors, t, all, workers)
	w, err := solve(gram, right, ridge*meanTrust(t, all), workers)
	if err != nil {
		return nil, err
	}
	return &Map{space: space, weights: w, gain: best}, nil
}

// Gain is the share of the held-out vectors' variance about their mean that
// the map explains; at or below 0 it is worth nothing.
func (m *Map) Gain() float64 { return m.gain }

// Dim is the numbers of a vector.
func (m *Map) Dim() int { return m.weights.Cols }

// EmbedItem implements models.ItemEmbedder; false when no term is known.
func (m *Map) EmbedItem(it *features.Item, dst []float32) bool {
	own := make([]float32, m.space.project.Cols)
	if !m.space.EmbedItem(it, own) {
		return false
	}
	m.lead(own, dst)
	return true
}

// All is the mapped vectors of items with the given vectors in the space; rows
// of items of which nothing is said are 0.
func (m *Map) All(vectors linalg.Matrix, workers int) linalg.Matrix {
	out := linalg.NewMatrix(vectors.Rows, m.weights.Cols)
	linalg.ParallelN(vectors.Rows, 64, workers, func(_, lo, hi int) {
		for row := lo; row < hi; row++ {
			if own := vectors.Row(row); !blank(own) {
				m.lead(own, out.Row(row))
			}
		}
	})
	return out
}

func (m *Map) lead(own, dst []float32) {
	copy(dst, m.weights.Row(len(own)))
	linalg.AxpyRows(own, m.weights.Data[:len(own)*m.weights.Cols], dst)
}

func blank(x []float32) bool { return linalg.Dot(x, x) == 0 }

func meanTrust(t Target, items []int) float64 {
	var sum float64
	for _, i := range items {
		sum += float64(t.Trust[i])
	}
	return sum / float64(len(items))
}

// normal is Zᵀ·T·Z and Zᵀ·T·Y over the items, a constant put behind each z.
func normal(vectors linalg.Matrix, t Target, items []int, workers int) (gram, right linalg.Matrix) {
	q := vectors.Cols + 1
	z, y := linalg.NewMatrix(len(items), q), linalg.NewMatrix(len(items), t.Vectors.Cols)
	for k, i := range items {
		root := float32(math.Sqrt(float64(t.Trust[i])))
		copy(z.Row(k), vectors.Row(i))
		z.Row(k)[q-1] = 1
		linalg.Scale(root, z.Row(k))
		copy(y.Row(k), t.Vectors.Row(i))
		linalg.Scale(root, y.Row(k))
	}
	gram, right = linalg.NewMatrix(q, q), linalg.NewMatrix(q, y.Cols)
	linalg.SyrkParallel(1, z, 0, gram, workers)
	gram.MirrorUpper()
	linalg.GemmParallel(true, false, 1, z, y, 0, right, workers)
	return gram, right
}

func solve(gram, right linalg.Matrix, ridge float64, workers int) (linalg.Matrix, error) {
	a, w := gram.Clone(), right.Clone()
	a.AddDiagonal(float32(ridge))
	if err := linalg.CholeskyParallel(a, workers); err != nil {
		return w, fmt.Errorf("map contents to factors: %w", err)
	}
	linalg.CholeskySolveMany(a, w, workers)
	return w, nil
}

func predict(vectors, w linalg.Matrix, items []int, workers int) linalg.Matrix {
	z, out := linalg.NewMatrix(len(items), w.Rows), linalg.NewMatrix(len(items), w.Cols)
	for k, i := range items {
		copy(z.Row(k), vectors.Row(i))
		z.Row(k)[w.Rows-1] = 1
	}
	linalg.GemmParallel(false, false, 1, z, w, 0, out, workers)
	return out
}

// apart is the error of a guess of the items' vectors, each by its trust; nil
// guesses their mean.
func apart(t Target, items []int, guess *linalg.Matrix, workers int) float64 {
	dim := t.Vectors.Cols
	e := linalg.NewMatrix(len(items), dim)
	mean := make([]float32, dim)
	if guess == nil {
		var total float32
		for _, i := range items {
			linalg.Axpy(t.Trust[i], t.Vectors.Row(i), mean)
			total += t.Trust[i]
		}
		linalg.Scale(1/total, mean)
	}
	for k, i := range items {
		copy(e.Row(k), t.Vectors.Row(i))
		if guess != nil {
			linalg.Axpy(-1, guess.Row(k), e.Row(k))
		} else {
			linalg.Axpy(-1, mean, e.Row(k))
		}
	}
	turned := e
	if t.Metric.Rows > 0 {
		turned = linalg.NewMatrix(len(items), dim)
		linalg.GemmParallel(false, false, 1, e, t.Metric, 0, turned, workers)
	}
	var sum float64
	for k, i := range items {
		sum += float64(t.Trust[i]) * float64(linalg.Dot(e.Row(k), turned.Row(k)))
	}
	return sum
}

type savedMap struct {
	Terms []string `json:"terms"`
	Mean  float64  `json:"mean,omitempty"` // as in saved
	Gain  float64  `json:"gain"`
}

// Save writes the map beside the parts of the model that it belongs to, under
// names that begin with "map".
func (m *Map) Save(w models.Writer) error {
	for _, t := range []struct {
		name   string
		tensor models.Tensor
	}{
		{"map.project", models.TensorOf(m.space.project.Data, m.space.project.Rows, m.space.project.Cols)},
		{"map.idf", models.TensorOf(m.space.words.IDF(), len(m.space.words.IDF()))},
		{"map.weights", models.TensorOf(m.weights.Data, m.weights.Rows, m.weights.Cols)},
	} {
		if err := w.Tensor(t.name, t.tensor); err != nil {
			return err
		}
	}
	return w.JSON("map", savedMap{Terms: m.space.words.Terms(), Mean: m.space.words.Mean(), Gain: m.gain})
}

// OpenMap reads what Map.Save wrote, for vectors of dim numbers.
func OpenMap(r models.Reader, dim int) (*Map, error) {
	var s savedMap
	if err := r.JSON("map", &s); err != nil {
		return nil, err
	}
	m := &Map{space: &Space{}, gain: s.Gain}
	idf, err := numbers(r, "map.idf", len(s.Terms))
	if err != nil {
		return nil, err
	}
	if m.space.words, err = text.NewVectoriser(s.Terms, idf.Data, s.Mean); err != nil {
		return nil, err
	}
	if m.space.project, err = numbers(r, "map.project", len(s.Terms), -1); err != nil {
		return nil, err
	}
	m.weights, err = numbers(r, "map.weights", m.space.project.Cols+1, dim)
	return m, err
}
