package ltr

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/attune-rec/attune/models"
)

// ErrNothing is returned where no request shows what a good order is.
var ErrNothing = errors.New("no request to learn a ranker from")

// List is one request: what was known of its candidates and what came of it.
// Requests come in the order of time.
type List struct {
	X []float32 // candidates x Inputs.Width, as Inputs.Fill gives them
	// Gain is what became of each candidate: 0 nothing, above 0 how much it is
	// worth that it was taken.
	Gain []float32
	// Position is the place from 0 at which each candidate was shown; nil where
	// nothing was: a request that is replayed against the log.
	Position []int32
}

// LearnOptions bound the learning. The zero value takes the defaults.
type LearnOptions struct {
	Validation float64 // share of the lists, the newest, that is chosen on; 0: .3
	Hidden     int     // units that are tried; 0: 16
	Epochs     int     // over the lists at most; 0: 12
	Seed       uint64
	Progress   func(done, total int)
	// Blind takes no account of the position at which items were shown.
	Blind bool
}

func (o LearnOptions) filled() LearnOptions {
	if o.Validation <= 0 || o.Validation >= 1 {
		o.Validation = .3
	}
	if o.Hidden <= 0 {
		o.Hidden = 16
	}
	if o.Epochs <= 0 {
		o.Epochs = 12
	}
	return o
}

// What is tried.
const (
	Regression = "regression"      // least squares on models' scores and places, aggregated
	Linear     = "linear"          // a listwise softmax over a weighted sum
	Network    = "network"         // the same, with a hidden layer
	Without    = "without signals" // the network that does not see them; for the record
)

// Learnt is what Learn found.
type Learnt struct {
	Params  Params
	Without Params // the best network that sees no signals, to compare with
}

// Best is the NDCG of what was chosen and of the best single model.
func (s *Story) Best() (chosen, alone float64) {
	for name, v := range s.NDCG {
		if strings.HasPrefix(name, "model ") {
			alone = max(alone, v)
		}
	}
	return s.NDCG[s.Chosen], alone
}

// Learn fits rankers over p's inputs to the older lists by a listwise softmax
// (ListNet's top-one loss; Cao et al. 2007), keeps the one with the best NDCG at
// 10 on the newer ones and calibrates it there (Platt 1999).
//
// Where lists were shown, position is an input of training that only adds to
// the score, never beside the others in the hidden layer (Guo et al. 2019); it
// takes up what is owed to the place, and answers are ranked as if everything
// stood in the first.
func Learn(ctx context.Context, p Params, lists []List, o LearnOptions) (*Learnt, error) {
	o = o.filled()
	width, set, err := p.width()
	if err != nil {
		return nil, err
	}
	inputs := namesOf(p, set.Columns())
	var useful []List
	for _, l := range lists {
		if len(l.X) != len(l.Gain)*width || l.Position != nil && len(l.Position) != len(l.Gain) {
			return nil, fmt.Errorf("%w: a list of %d candidates has %d numbers: expected %d of each", models.ErrParams, len(l.Gain), len(l.X), width)
		}
		if l.decides() {
			useful = append(useful, l)
		}
	}
	cut := len(useful) - int(o.Validation*float64(len(useful)))
	train, check := useful[:cut], useful[cut:]
	if len(train) < fewest || len(check) < fewest/2 {
		return nil, fmt.Errorf("%w: %d decide anything: expected at least %d", ErrNothing, len(useful), 2*fewest)
	}
	p.scale(train)
	train, check = p.prepare(train, o.Blind, false), p.prepare(check, o.Blind, true)
	story := &Story{Lists: len(train), Validation: len(check), NDCG: map[string]float64{}}
	for _, l := range useful[:cut] {
		if l.Position != nil {
			story.Shown++
		}
	}
	first := len(p.Models) + 1 + len(p.Sources) // of the signals
	for k := range p.Models {
		alone := Params{Mean: p.Mean, Linear: make([]float32, width)}
		alone.Linear[k] = 1
		story.NDCG[inputs[k]] = alone.judge(check)
	}
	best, bare, without := -1., p, Params{}
	for i, name := range []string{Regression, Linear, Network, Without} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var try Params
		switch name {
		case Regression:
			if try, story.Formula, err = regress(bare, train, inputs[:len(p.Models)+1]); err != nil {
				story.Formula = err.Error()
				continue
			}
		case Linear:
			try = descend(ctx, bare, train, check, 0, o)
		case Network:
			try = descend(ctx, bare, train, check, o.Hidden, o)
		case Without:
			blind := blank(train, width, first, width-1)
			against := blank(check, width, first, width-1)
			try = descend(ctx, bare, blind, against, o.Hidden, o)
			story.NDCG[name] = try.judge(against)
			try.forget(first, width-1)
			try.calibrate(check)
			without = try
			continue
		}
		story.NDCG[name] = try.judge(check)
		if story.NDCG[name] > best {
			best, story.Chosen = story.NDCG[name], name
			p = try
		}
		if o.Progress != nil {
			o.Progress(i+1, 4)
		}
	}
	if p.Linear == nil {
		return nil, fmt.Errorf("%w: nothing that was tried has an answer", ErrNothing)
	}
	story.Importance = p.importance(check, inputs, o.Seed)
	p.Story = story
	p.calibrate(check)
	return &Learnt{Params: p, Without: without}, ctx.Err()
}

// fewest is how many lists are learnt from at least.
const fewest = 40

func namesOf(p Params, columns []string) []string {
	var names []string
	for _, m := range p.Models {
		names = append(names, "model "+m)
	}
	names = append(names, "place")
	for _, s := range p.Sources {
		names = append(names, "source "+s)
	}
	for _, c := range columns {
		names = append(names, "signal "+c)
	}
	return append(names, "position")
}

// decides reports whether something was taken and something was not.
func (l *List) decides() bool {
	return slices.ContainsFunc(l.Gain, func(g float32) bool { return g > 0 }) && slices.Contains(l.Gain, 0)
}

// scale finds the mean and the deviation of every input.
func (p *Params) scale(lists []List) {
	width := len(lists[0].X) / len(lists[0].Gain)
	sum, squares, n := make([]float64, width), make([]float64, width), make([]float64, width)
	for _, l := range lists {
		for i, v := range l.X {
			if v-v == 0 {
				k := i % width
				sum[k] += float64(v)
				squares[k] += float64(v) * float64(v)
				n[k]++
			}
		}
	}
	p.Mean, p.Scale = make([]float32, width), make([]float32, width)
	for k := range sum {
		if n[k] == 0 {
			continue
		}
		mean := sum[k] / n[k]
		p.Mean[k] = float32(mean)
		if d := math.Sqrt(max(squares[k]/n[k]-mean*mean, 0)); d > 1e-6*math.Abs(mean) && d > 0 {
			p.Scale[k] = float32(1 / d)
		}
	}
	p.Mean[width-1], p.Scale[width-1] = 0, 1
}

// prepare is the lists on the scale of training, with the position in its
// place; where they are judged there is none.
func (p *Params) prepare(lists []List, blind, judged bool) []List {
	width := len(p.Mean)
	out := make([]List, len(lists))
	for i, l := range lists {
		out[i] = List{X: slices.Clone(l.X), Gain: l.Gain}
		p.standardise(out[i].X)
		for c := range l.Gain {
			at := &out[i].X[(c+1)*width-1]
			*at = 0
			if l.Position != nil && !blind && !judged {
				*at = float32(math.Log1p(float64(l.Position[c])))
			}
		}
	}
	return out
}

// blank is the lists with the inputs from lo to hi at their means.
func blank(lists []List, width, lo, hi int) []List {
	out := make([]List, len(lists))
	for i, l := range lists {
		out[i] = List{X: slices.Clone(l.X), Gain: l.Gain}
		for at := 0; at < len(l.X); at += width {
			clear(out[i].X[at+lo : at+hi])
		}
	}
	return out
}

// forget makes the inputs from lo to hi count for nothing.
func (p *Params) forget(lo, hi int) {
	clear(p.Linear[lo:hi])
	clear(p.Inner[lo*p.Hidden : hi*p.Hidden])
}

// importance is the fall of NDCG by input, signals by name and not by number.
func (p *Params) importance(lists []List, names []string, seed uint64) []Importance {
	width := len(names)
	groups, order := map[string][]int{}, []string(nil)
	for k, name := range names[:width-1] {
		if strings.HasPrefix(name, "signal ") {
			name, _, _ = strings.Cut(name, ".")
		}
		if groups[name] == nil {
			order = append(order, name)
		}
		groups[name] = append(groups[name], k)
	}
	base := p.judge(lists)
	var rows [][]float32
	dealt := make([]List, len(lists))
	for i, l := range lists {
		dealt[i] = List{X: slices.Clone(l.X), Gain: l.Gain}
		for at := 0; at < len(l.X); at += width {
			rows = append(rows, dealt[i].X[at:at+width])
		}
	}
	random := rand.New(rand.NewPCG(seed, 0x19b)) // #nosec G404 -- drawn again the same
	column := make([]float32, len(rows))
	out := make([]Importance, 0, len(order))
	for _, name := range order {
		to := random.Perm(len(rows))
		for _, k := range groups[name] {
			for i, row := range rows {
				column[i] = row[k]
			}
			for i, row := range rows {
				row[k] = column[to[i]]
			}
		}
		out = append(out, Importance{Name: name, Fall: base - p.judge(dealt)})
		for _, k := range groups[name] {
			for i, row := range rows {
				column[to[i]] = row[k]
			}
			for i, row := range rows {
				row[k] = column[i]
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Importance) int {
		switch {
		case a.Fall > b.Fall:
			return -1
		case a.Fall < b.Fall:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}
