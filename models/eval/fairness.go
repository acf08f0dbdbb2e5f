package eval

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/attune-rec/attune/features"
)

// The measures by which groups of shoppers are compared.
const (
	FairQuality  = "quality"  // NDCG of the answers
	FairExposure = "exposure" // share of what is shown, by place, that is not among the items that sell most
	FairPrice    = "price"    // level of prices shown: mean percentile among all goods, 0 to 1
)

// FairMeasures lists all measures.
func FairMeasures() []string { return []string{FairQuality, FairExposure, FairPrice} }

// FairShopper is one shopper's part in a comparison: means over their answers,
// NaN where undefined.
type FairShopper struct {
	Group    string // "": unknown
	Quality  float64
	Exposure float64
	Price    float64
	Bought   float64 // the same percentile of what they bought
	Shown    *features.Bitmap
}

// Fairness compares the answers that groups of shoppers received.
type Fairness struct {
	By      string      `json:"by"`      // "gender", "market"
	Unknown int         `json:"unknown"` // shoppers of whom the attribute is not known
	Small   int         `json:"small"`   // shoppers in groups too small to be told of
	Groups  []FairGroup `json:"groups"`  // by size, descending
	Gaps    []FairGap   `json:"gaps"`    // by measure: the group that differs most from all others
}

// FairGroup is what one group received; values are means over shoppers.
type FairGroup struct {
	Name     string  `json:"name"`
	Shoppers int     `json:"shoppers"`
	Quality  float64 `json:"quality"`
	Exposure float64 `json:"exposure"`
	Price    float64 `json:"price"`
	Bought   float64 `json:"price_bought"`
	Coverage float64 `json:"coverage"` // share of the catalogue in any of their answers
}

// FairGap is how far a group's mean is from that of the shoppers of all other
// groups, with Welch's 95 % interval (normal quantile).
type FairGap struct {
	Measure    string  `json:"measure"`
	Group      string  `json:"group"`
	Difference float64 `json:"difference"` // of the group, less the others
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
}

// Least is the smallest size at which the gap is sure: the end of the interval
// that is nearer to 0, without sign; 0 where the interval holds 0.
func (g FairGap) Least() float64 {
	return max(0, g.Low, -g.High)
}

// Fair compares groups of at least least shoppers; items is the size of the
// catalogue. Smaller groups are neither told of nor compared: their figures
// would tell of persons.
func Fair(by string, shoppers []FairShopper, least, items int) *Fairness {
	f := &Fairness{By: by, Groups: []FairGroup{}, Gaps: []FairGap{}}
	groups := map[string][]FairShopper{}
	for _, s := range shoppers {
		if s.Group == "" {
			f.Unknown++
			continue
		}
		groups[s.Group] = append(groups[s.Group], s)
	}
	maps.DeleteFunc(groups, func(_ string, of []FairShopper) bool {
		if small := len(of) < least; small {
			f.Small += len(of)
			return true
		}
		return false
	})
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		of := groups[name]
		g := FairGroup{
			Name: name, Shoppers: len(of), Quality: fairMoments(of, FairQuality).told(), Exposure: fairMoments(of, FairExposure).told(),
			Price: fairMoments(of, FairPrice).told(), Bought: fairMoments(of, "bought").told(),
		}
		shown := features.NewBitmap(items)
		for _, s := range of {
			if s.Shown != nil {
				shown.Or(s.Shown)
			}
		}
		g.Coverage = float64(shown.Count()) / float64(max(items, 1))
		f.Groups = append(f.Groups, g)
	}
	slices.SortStableFunc(f.Groups, func(a, b FairGroup) int { return b.Shoppers - a.Shoppers })
	if len(groups) < 2 {
		return f
	}
	for _, measure := range FairMeasures() {
		widest := FairGap{Measure: measure}
		for _, g := range f.Groups {
			var others []FairShopper
			for name, of := range groups {
				if name != g.Name {
					others = append(others, of...)
				}
			}
			a, b := fairMoments(groups[g.Name], measure), fairMoments(others, measure)
			if a.n == 0 || b.n == 0 {
				continue
			}
			d, half := a.mean-b.mean, 1.96*math.Sqrt(a.variance/a.n+b.variance/b.n)
			gap := FairGap{measure, g.Name, d, d - half, d + half}
			if widest.Group == "" || gap.Least() > widest.Least() || gap.Least() == widest.Least() && math.Abs(d) > math.Abs(widest.Difference) {
				widest = gap
			}
		}
		if widest.Group != "" {
			f.Gaps = append(f.Gaps, widest)
		}
	}
	return f
}

// moment is the mean and the variance of what is defined.
type moment struct{ n, mean, variance float64 }

// told is the mean; 0 where nothing is defined, since JSON has no NaN.
func (m moment) told() float64 { return m.mean }

func fairMoments(of []FairShopper, measure string) (m moment) {
	value := func(s *FairShopper) float64 {
		switch measure {
		case FairQuality:
			return s.Quality
		case FairExposure:
			return s.Exposure
		case FairPrice:
			return s.Price
		}
		return s.Bought
	}
	squares := 0. // of differences from the mean (Welford 1962)
	for i := range of {
		v := value(&of[i])
		if math.IsNaN(v) {
			continue
		}
		m.n++
		d := v - m.mean
		m.mean += d / m.n
		squares += d * (v - m.mean)
	}
	if m.n > 1 {
		m.variance = squares / (m.n - 1)
	}
	return m
}

// Metric is the name under which a release keeps a gap: "fairness gender/price".
func (f *Fairness) Metric(measure string) string { return "fairness " + f.By + "/" + measure }

// WriteText writes the comparison as a table.
func (f *Fairness) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nby %s, mean over shoppers; %d of unknown %s, %d in groups too small to tell of\n", f.By, f.Unknown, f.By, f.Small)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "group\tshoppers\tquality\tless sold items shown\tprices shown\tprices bought\tcatalogue shown")
	for _, g := range f.Groups {
		fmt.Fprintf(t, "%s\t%d\t%.4f\t%.3f\t%.3f\t%.3f\t%.1f %%\n", g.Name, g.Shoppers, g.Quality, g.Exposure, g.Price, g.Bought, 100*g.Coverage)
	}
	_ = t.Flush()
	for _, g := range f.Gaps {
		fmt.Fprintf(&b, "widest gap in %s: %s %+.4f [%+.4f, %+.4f] against all others\n", g.Measure, g.Group, g.Difference, g.Low, g.High)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ErrUnfair is returned for a release whose answers differ by group more than is
// let pass, or were not compared.
var ErrUnfair = errors.New("answers differ by group")

// FairLimit is the widest gap that is let pass.
type FairLimit struct {
	Shop        features.ShopID // "": every shop
	By, Measure string
	Most        float64
}

// ParseFairLimit reads "gender:price=0.05", or "default/gender:price=0.05" for
// one shop.
func ParseFairLimit(text string) (l FairLimit, err error) {
	what, most, ok := strings.Cut(text, "=")
	if shop, rest, one := strings.Cut(what, "/"); one && features.ShopID(shop).Validate() == nil {
		l.Shop, what = features.ShopID(shop), rest
	}
	by, measure, two := strings.Cut(what, ":")
	if ok && two && by != "" && slices.Contains(FairMeasures(), measure) {
		if l.Most, err = strconv.ParseFloat(most, 64); err == nil && l.Most >= 0 && l.Most <= 1 {
			l.By, l.Measure = by, measure
			return l, nil
		}
	}
	return FairLimit{}, fmt.Errorf("expected [SHOP/]ATTRIBUTE:MEASURE=MOST, such as gender:price=0.05, the measure one of %s and the most 0 to 1: got %q", strings.Join(FairMeasures(), ", "), text)
}

// Metric is the name under which a release keeps the gap that the limit is of.
func (l FairLimit) Metric() string { return (&Fairness{By: l.By}).Metric(l.Measure) }

// Holds reports ErrUnfair, with what is wrong, for a gap that is surely wider
// than the limit: its whole interval is.
func (l FairLimit) Holds(low, high float64) error {
	if g := (FairGap{Low: low, High: high}); g.Least() > l.Most {
		return fmt.Errorf("%w: the groups of %s differ in %s by %.4f at least, want %.4f at most", ErrUnfair, l.By, l.Measure, g.Least(), l.Most)
	}
	return nil
}

// CheckFair reports ErrUnfair for the first of a shop's limits that does not
// hold, or whose gap was never measured; gap finds one by its metric's name.
func CheckFair(limits []FairLimit, shop features.ShopID, gap func(metric string) (low, high float64, ok bool)) error {
	for _, l := range limits {
		if l.Shop != "" && l.Shop != shop {
			continue
		}
		low, high, ok := gap(l.Metric())
		if !ok {
			return fmt.Errorf("%w, or may: it was not compared in %s by %s; train it with 'trainer fit --data DIR --fairness %s' on a log that can be judged and has two groups of 20 shoppers",
				ErrUnfair, l.Measure, l.By, l.By)
		}
		if err := l.Holds(low, high); err != nil {
			return fmt.Errorf("%w; look at it with 'trainer evaluate --pipeline --fairness %s'", err, l.By)
		}
	}
	return nil
}
