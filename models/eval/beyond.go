package eval

import (
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// beyond measures what a ranking is worth beyond hits, from who had which item
// and from the catalogue's categories.
type beyond struct {
	task     Task
	had      linalg.CSR     // items x users: who had the item
	popular  []features.Row // by how many users had it, descending, ties by row
	category [][]int32      // of each item: its category and those above it; nil without a catalogue
	names    int            // how many categories there are
}

func newBeyond(t Task, o Options) *beyond {
	b := &beyond{task: t}
	if !slices.ContainsFunc(o.Metrics, b.measures) {
		return b
	}
	b.had = models.Matrix(t.History, nil).Transpose()
	b.popular = make([]features.Row, t.History.NumItems())
	for i := range b.popular {
		b.popular[i] = features.Row(i)
	}
	sort.SliceStable(b.popular, func(x, y int) bool { return b.users(b.popular[x]) > b.users(b.popular[y]) })
	if c := t.History.Catalog; c != nil {
		b.categories(c)
	}
	return b
}

func (b *beyond) measures(m Metric) bool {
	switch m.Name {
	case Novelty, Diversity, Serendipity, Calibration:
		return true
	}
	return false
}

func (b *beyond) users(row features.Row) int { return int(b.had.Ptr[row+1] - b.had.Ptr[row]) }

func (b *beyond) categories(c features.Catalog) {
	known := map[string]int32{}
	all := make([][]int32, b.task.History.NumItems())
	for row := range all {
		it := c.Item(features.Row(row))
		if it == nil {
			continue
		}
		for depth := range it.Category {
			path := strings.Join(it.Category[:depth+1], "/")
			id, ok := known[path]
			if !ok {
				id = int32(len(known))
				known[path] = id
			}
			all[row] = append(all[row], id)
		}
	}
	b.names = len(known)
	if b.names > 0 {
		b.category = all
	}
}

// value is the metric of the ranking w.list of user u; NaN where it is
// undefined.
func (b *beyond) value(m Metric, u int, w *worker, keepSeen bool) float64 {
	list, hits := w.list[:min(m.K, len(w.list))], w.hits[:min(m.K, len(w.hits))]
	switch m.Name {
	case Novelty:
		return b.novelty(list)
	case Diversity:
		return b.diversity(list, w.alike)
	case Serendipity:
		w.seen = w.seen[:0]
		if !keepSeen {
			w.seen = seenBy(b.task.History, u, w.seen)
		}
		return b.serendipity(list, hits, m.K, w.seen)
	case Calibration:
		return b.calibration(list, u)
	}
	return math.NaN()
}

// novelty: an item that nobody had counts as had by one user more than all.
func (b *beyond) novelty(list []features.Row) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	sum, all := 0., float64(b.had.Cols+1)
	for _, row := range list {
		sum -= math.Log2(float64(max(b.users(row), 1)) / all)
	}
	return sum / float64(len(list))
}

// diversity is over all pairs: 1 less the Jaccard likeness of the categories
// where the catalogue has any, else 1 less the cosine of who had them.
func (b *beyond) diversity(list []features.Row, alike map[uint64]float64) float64 {
	if len(list) < 2 {
		return math.NaN()
	}
	sum, pairs := 0., 0
	for i, x := range list {
		for _, y := range list[i+1:] {
			pairs++
			if b.category != nil {
				cx, cy := b.category[x], b.category[y]
				if common := common(cx, cy, false); common > 0 {
					sum += 1 - float64(common)/float64(len(cx)+len(cy)-common)
				} else {
					sum++
				}
				continue
			}
			sum += 1 - b.cosine(x, y, alike)
		}
	}
	return sum / float64(pairs)
}

// mostAlike bounds what a worker remembers of pairs.
const mostAlike = 1 << 20

// cosine is how alike two items are by who had them, remembered in alike:
// popular pairs are long to compare and come up often.
func (b *beyond) cosine(x, y features.Row, alike map[uint64]float64) float64 {
	nx, ny := b.users(x), b.users(y)
	if nx == 0 || ny == 0 {
		return 0
	}
	key := uint64(min(x, y))<<32 | uint64(max(x, y))
	c, ok := alike[key]
	if !ok {
		ux, _ := b.had.Row(int(x))
		uy, _ := b.had.Row(int(y))
		c = float64(common(ux, uy, true)) / math.Sqrt(float64(nx)*float64(ny))
		if len(alike) < mostAlike {
			alike[key] = c
		}
	}
	return c
}

// common counts what is in both; sorted says that both ascend.
func common(x, y []int32, sorted bool) int {
	n := 0
	if !sorted {
		for _, v := range x {
			if slices.Contains(y, v) {
				n++
			}
		}
		return n
	}
	for len(x) > 0 && len(y) > 0 {
		switch {
		case x[0] < y[0]:
			x = x[1:]
		case x[0] > y[0]:
			y = y[1:]
		default:
			n++
			x, y = x[1:], y[1:]
		}
	}
	return n
}

// serendipity leaves out what the k most popular items, less the seen ones,
// would have found as well.
func (b *beyond) serendipity(list []features.Row, hits []bool, k int, seen []features.Row) float64 {
	found := 0
	for i, row := range list {
		if hits[i] && !b.expected(row, k, seen) {
			found++
		}
	}
	return float64(found) / float64(k)
}

func (b *beyond) expected(row features.Row, k int, seen []features.Row) bool {
	for _, p := range b.popular {
		if k == 0 {
			return false
		}
		if _, ok := slices.BinarySearch(seen, p); ok {
			continue
		}
		if p == row {
			return true
		}
		k--
	}
	return false
}

// calibration is KL(p || q), p the categories of the history, q those of the
// list with a hundredth of p mixed in.
func (b *beyond) calibration(list []features.Row, u int) float64 {
	if b.category == nil {
		return math.NaN()
	}
	p, q := make([]float64, b.names), make([]float64, b.names)
	history := b.task.History.History(u)
	rows := make([]features.Row, 0, len(history))
	for i := range history {
		rows = append(rows, history[i].Row)
	}
	if !b.shares(rows, p) || !b.shares(list, q) {
		return math.NaN()
	}
	const mixed = .01
	kl := 0.
	for c := range p {
		if p[c] > 0 {
			kl += p[c] * math.Log2(p[c]/((1-mixed)*q[c]+mixed*p[c]))
		}
	}
	return kl
}

// shares adds up the categories of rows to 1; false when there is none.
func (b *beyond) shares(rows []features.Row, dst []float64) bool {
	total := 0.
	for _, row := range rows {
		for _, c := range b.category[row] {
			dst[c]++
			total++
		}
	}
	for c := range dst {
		dst[c] /= total
	}
	return total > 0
}
