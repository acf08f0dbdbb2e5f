package profile

import (
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features"
)

// Grid scores buyers by recency, frequency and money from 1 to 5, by the
// quintiles of a shop's buyers; 5 is the best. It is immutable.
type Grid struct {
	Recency   [4]float64 `json:"recency"`   // days, ascending: at most the first is 5
	Frequency [4]float64 `json:"frequency"` // orders: above the last is 5
	Money     [4]float64 `json:"money"`     // spent: above the last is 5
}

// NewGrid takes the quintiles of the buyers among profiles.
func NewGrid(profiles []*features.Profile) (*Grid, error) {
	var r, f, m []float64
	for _, p := range profiles {
		if p.Orders > 0 {
			r, f, m = append(r, p.RecencyDays), append(f, float64(p.Orders)), append(m, p.Spent)
		}
	}
	if len(r) < 5 {
		return nil, fmt.Errorf("%w: a grid needs at least 5 buyers, got %d", ErrSegment, len(r))
	}
	return &Grid{Recency: quintiles(r), Frequency: quintiles(f), Money: quintiles(m)}, nil
}

func quintiles(v []float64) (cuts [4]float64) {
	slices.Sort(v)
	for i := range cuts {
		cuts[i] = v[(i+1)*len(v)/5-1]
	}
	return cuts
}

// Cell is p's scores; zeroes for who never bought.
func (g *Grid) Cell(p *features.Profile) (r, f, m int) {
	if p.Orders == 0 {
		return 0, 0, 0
	}
	return 5 - above(g.Recency, p.RecencyDays), 1 + above(g.Frequency, float64(p.Orders)), 1 + above(g.Money, p.Spent)
}

func above(cuts [4]float64, v float64) int {
	n := 0
	for _, c := range cuts {
		if v > c {
			n++
		}
	}
	return n
}

// Name is the cell's name, "rfm:545", or "" for who never bought.
func (g *Grid) Name(p *features.Profile) string {
	r, f, m := g.Cell(p)
	if r == 0 {
		return ""
	}
	return fmt.Sprintf("rfm:%d%d%d", r, f, m)
}
