package profile

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features"
)

// dimension is a profile field that clusters look at.
type dimension struct {
	field string // its name in expressions
	words string // to people
	get   func(p *features.Profile) float64
	log   bool // its sizes differ by orders of magnitude
}

var dimensions = []dimension{
	{"profile.recency_days", "days since the last order", func(p *features.Profile) float64 { return p.RecencyDays }, true},
	{"profile.orders", "orders", func(p *features.Profile) float64 { return float64(p.Orders) }, true},
	{"profile.spent", "money spent", func(p *features.Profile) float64 { return p.Spent }, true},
	{"profile.order_value", "money by order", orderValue, true},
	{"profile.gap_days", "days from order to order", func(p *features.Profile) float64 { return p.GapDays }, true},
	{"profile.return_share", "share of returns", func(p *features.Profile) float64 { return p.ReturnShare }, false},
	{"profile.price_level", "price level", func(p *features.Profile) float64 { return p.PriceLevel }, false},
}

func orderValue(p *features.Profile) float64 {
	if p.Orders == 0 {
		return 0
	}
	return p.Spent / float64(p.Orders)
}

// Clusters are groups of alike shoppers, found by k-means over standardised
// profile fields (Lloyd 1982; first centres by k-means++, Arthur and
// Vassilvitskii 2007). They are immutable and safe for concurrent use.
type Clusters struct {
	mean, scale []float64   // by dimension
	centres     [][]float64 // standardised
	Silhouette  float64     // of the sample the number was chosen on, -1 to 1
}

// Fit finds between least and most clusters, as many as give the best
// silhouette (Rousseeuw 1987) on a sample of 1,000. The silhouette alone often
// says two; least is how few are of use, at least 2. The same profiles, order and seed
// give the same clusters.
func Fit(profiles []*features.Profile, least, most int, seed uint64) (*Clusters, error) {
	if least < 2 || most < least || len(profiles) < 10*most {
		return nil, fmt.Errorf("%w: %d profiles for %d to %d clusters: at least 2 clusters and 10 profiles for each are needed", ErrSegment, len(profiles), least, most)
	}
	c := &Clusters{}
	points := c.standardise(profiles)
	rng := rand.New(rand.NewPCG(seed, 0xc1))
	sample := rng.Perm(len(points))[:min(len(points), 1000)]
	c.Silhouette = -2
	for k := least; k <= most; k++ {
		var best [][]float64
		tight := math.Inf(1)
		for range 4 {
			centres, spread := lloyd(points, seeds(points, k, rng))
			if spread < tight {
				best, tight = centres, spread
			}
		}
		if s := silhouette(points, sample, best); s > c.Silhouette {
			c.Silhouette, c.centres = s, best
		}
	}
	return c, nil
}

func (c *Clusters) standardise(profiles []*features.Profile) [][]float64 {
	d := len(dimensions)
	c.mean, c.scale = make([]float64, d), make([]float64, d)
	points := make([][]float64, len(profiles))
	for i, p := range profiles {
		points[i] = raw(p)
		for j, v := range points[i] {
			c.mean[j] += v
		}
	}
	for j := range c.mean {
		c.mean[j] /= float64(len(points))
	}
	for _, v := range points {
		for j := range v {
			c.scale[j] += (v[j] - c.mean[j]) * (v[j] - c.mean[j])
		}
	}
	for j, s := range c.scale {
		c.scale[j] = 0 // a field that is the same for all says nothing
		if s > 0 {
			c.scale[j] = 1 / math.Sqrt(s/float64(len(points)))
		}
	}
	for _, v := range points {
		c.place(v)
	}
	return points
}

func raw(p *features.Profile) []float64 {
	v := make([]float64, len(dimensions))
	for j, d := range dimensions {
		v[j] = d.get(p)
		if d.log {
			v[j] = math.Log1p(max(0, v[j]))
		}
	}
	return v
}

func (c *Clusters) place(v []float64) {
	for j := range v {
		v[j] = min(max((v[j]-c.mean[j])*c.scale[j], -3), 3)
	}
}

// clusters is how Clusters are written down.
type clusters struct {
	Mean       []float64   `json:"mean"`
	Scale      []float64   `json:"scale"`
	Centres    [][]float64 `json:"centres"`
	Silhouette float64     `json:"silhouette"`
}

// MarshalJSON implements json.Marshaler.
func (c *Clusters) MarshalJSON() ([]byte, error) {
	return json.Marshal(clusters{c.mean, c.scale, c.centres, c.Silhouette})
}

// UnmarshalJSON implements json.Unmarshaler; ErrSegment when the fields are not
// those that are looked at now.
func (c *Clusters) UnmarshalJSON(b []byte) error {
	var in clusters
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	fits := len(in.Mean) == len(dimensions) && len(in.Scale) == len(dimensions) && len(in.Centres) > 0
	for _, centre := range in.Centres {
		fits = fits && len(centre) == len(dimensions)
	}
	if !fits {
		return fmt.Errorf("%w: the clusters look at other fields: discover them anew", ErrSegment)
	}
	*c = Clusters{mean: in.Mean, scale: in.Scale, centres: in.Centres, Silhouette: in.Silhouette}
	return nil
}

// K is how many clusters there are.
func (c *Clusters) K() int { return len(c.centres) }

// Of is the cluster that p belongs to, from 0.
func (c *Clusters) Of(p *features.Profile) int {
	v := raw(p)
	c.place(v)
	i, _ := nearest(v, c.centres)
	return i
}

func nearest(v []float64, centres [][]float64) (int, float64) {
	best, least := 0, math.Inf(1)
	for i, c := range centres {
		if d := distance(v, c); d < least {
			best, least = i, d
		}
	}
	return best, least
}

// distance is squared.
func distance(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return sum
}

func seeds(points [][]float64, k int, rng *rand.Rand) [][]float64 {
	centres := [][]float64{slices.Clone(points[rng.IntN(len(points))])}
	far := make([]float64, len(points))
	for len(centres) < k {
		sum := 0.0
		for i, p := range points {
			_, far[i] = nearest(p, centres)
			sum += far[i]
		}
		at, pick := rng.Float64()*sum, len(points)-1
		for i, f := range far {
			if at -= f; at < 0 {
				pick = i
				break
			}
		}
		centres = append(centres, slices.Clone(points[pick]))
	}
	return centres
}

func lloyd(points, centres [][]float64) (_ [][]float64, spread float64) {
	sizes := make([]float64, len(centres))
	before := math.Inf(1)
	for range 100 {
		sums := make([][]float64, len(centres))
		for i := range sums {
			sums[i] = make([]float64, len(points[0]))
		}
		clear(sizes)
		spread = 0
		for _, p := range points {
			i, d := nearest(p, centres)
			spread += d
			sizes[i]++
			for j, v := range p {
				sums[i][j] += v
			}
		}
		for i, n := range sizes {
			for j := range sums[i] {
				if n > 0 { // a cluster that lost all keeps its centre
					centres[i][j] = sums[i][j] / n
				}
			}
		}
		if spread >= before*(1-1e-6) {
			break
		}
		before = spread
	}
	return centres, spread
}

// silhouette is its mean over the sample, by the distances within it.
func silhouette(points [][]float64, sample []int, centres [][]float64) float64 {
	group := make([]int, len(sample))
	sizes := make([]float64, len(centres))
	for i, at := range sample {
		group[i], _ = nearest(points[at], centres)
		sizes[group[i]]++
	}
	total := 0.0
	sums := make([]float64, len(centres))
	for i, at := range sample {
		clear(sums)
		for j, other := range sample {
			sums[group[j]] += math.Sqrt(distance(points[at], points[other]))
		}
		own := group[i]
		if sizes[own] < 2 {
			continue
		}
		inside, outside := sums[own]/(sizes[own]-1), math.Inf(1)
		for g := range centres {
			if g != own && sizes[g] > 0 {
				outside = min(outside, sums[g]/sizes[g])
			}
		}
		if !math.IsInf(outside, 1) && max(inside, outside) > 0 {
			total += (outside - inside) / max(inside, outside)
		}
	}
	return total / float64(len(sample))
}
