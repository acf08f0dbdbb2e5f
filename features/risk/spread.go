package risk

import (
	"cmp"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
)

// leastScale is the least robust standard deviation taken on the logarithmic
// scale: where nearly all are alike, somewhat more is no outlier.
const leastScale = 0.5

// usual is the median and the robust standard deviation (1.4826 times the
// median absolute deviation, Iglewicz and Hoaglin 1993) of the logarithms of
// counts, all of them above 0.
type usual struct{ median, scale float64 }

func usualOf(values []float64) usual {
	if len(values) == 0 {
		return usual{0, leastScale}
	}
	logs := make([]float64, len(values))
	for i, v := range values {
		logs[i] = math.Log(v)
	}
	m := middle(logs)
	for i := range logs {
		logs[i] = math.Abs(logs[i] - m)
	}
	return usual{m, max(leastScale, 1.4826*middle(logs))}
}

// middle is the median; it sorts values.
func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// deviations of v from what is usual.
func (u usual) deviations(v float64) float64 { return (math.Log(v) - u.median) / u.scale }

// count is what is usual itself.
func (u usual) count() float64 { return math.Exp(u.median) }

// grade is 0 up to low, 1 from high on, and straight between.
func grade(v, low, high float64) float64 {
	return min(1, max(0, (v-low)/(high-low)))
}

// names gives strings numbers.
type names map[string]int32

func (n names) of(s string) int32 {
	at, ok := n[s]
	if !ok {
		at = int32(len(n)) // #nosec G115 -- as many as there are items
		n[s] = at
	}
	return at
}

const dayMS = 24 * 60 * 60 * 1000

// crowds counts subjects that came to a thing on a day and for nothing else, and
// finds the days on which far more of them came than on the thing's others.
type crowds map[int32]map[int32][]features.UserKey // thing, day: who

func (c crowds) add(thing, day int32, who features.UserKey) {
	if c[thing] == nil {
		c[thing] = map[int32][]features.UserKey{}
	}
	c[thing][day] = append(c[thing][day], who)
}

// leastCrowd is how many subjects make a crowd at least.
const leastCrowd = 10

// crowd is one that came to a thing at once.
type crowd struct {
	who   []features.UserKey
	usual float64 // a day
}

// sudden calls f with the days that stand out: more than four times the mean of
// all days of the log and six standard deviations of a Poisson count above it.
func (c crowds) sudden(days float64, f func(crowd)) {
	things := make([]int32, 0, len(c))
	for thing := range c {
		things = append(things, thing)
	}
	slices.Sort(things)
	for _, thing := range things {
		days := max(days, 1)
		counts := make([]int, 0, len(c[thing]))
		for _, who := range c[thing] {
			counts = append(counts, len(who))
		}
		slices.Sort(counts)
		// The busiest three days are left out of the mean, so that an attack does
		// not hide itself.
		total := 0
		for _, n := range counts[:max(0, len(counts)-3)] {
			total += n
		}
		mean := max(float64(total)/days, .5)
		on := make([]int32, 0, len(c[thing]))
		for day := range c[thing] {
			on = append(on, day)
		}
		slices.SortFunc(on, cmp.Compare)
		for _, day := range on {
			if n := float64(len(c[thing][day])); n >= leastCrowd && n > 4*mean && n > mean+6*math.Sqrt(mean) {
				f(crowd{c[thing][day], mean})
			}
		}
	}
}
