package customer_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attune-rec/attune/models/forecast/customer"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// rhythms are customers who buy at rates of their own, seen for a year and a
// month; the rate is by day.
func rhythms(n int) (out [][]customer.Purchase, rates []float64) {
	r := rand.New(rand.NewPCG(7, 8))
	for range n {
		rate := math.Exp(r.NormFloat64()) / 60
		var purchases []customer.Purchase
		for day := range 400 {
			if r.Float64() < rate {
				purchases = append(purchases, customer.Purchase{Time: now.AddDate(0, 0, day-370), Value: 10})
			}
		}
		out, rates = append(out, purchases), append(rates, rate)
	}
	return out, rates
}

// The purchases are at random: a customer's chance follows from their rate.
func TestPropensityIsCalibrated(t *testing.T) {
	const horizon = 28 * 24 * time.Hour
	customers, _ := rhythms(6000)
	p, err := customer.FitPropensity(customers, now, horizon)
	if err != nil {
		t.Fatal(err)
	}
	var chances, recency []float64
	var bought []bool
	for _, purchases := range customers {
		chance, ok := p.Chance(purchases, now)
		if !ok {
			continue
		}
		last, again := time.Time{}, false
		for _, x := range purchases {
			if x.Time.After(now) {
				again = again || !x.Time.After(now.Add(horizon))
			} else if x.Time.After(last) {
				last = x.Time
			}
		}
		chances, recency, bought = append(chances, chance), append(recency, float64(last.Unix())), append(bought, again)
	}
	j := customer.Judge(chances, recency, bought, nil, 1)
	if j.Calibration > .03 {
		t.Errorf("calibration error %.3f, want at most .03", j.Calibration)
	}
	if j.Low <= 0 {
		t.Errorf("AUC %.3f beside %.3f of recency alone, interval from %.4f: want above 0", j.AUC, j.Baseline, j.Low)
	}
}

// Later purchases change neither what is learnt nor a chance.
func TestPropensitySeesNoFuture(t *testing.T) {
	customers, _ := rhythms(500)
	whole, err := customer.FitPropensity(customers, now, 28*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	past := make([][]customer.Purchase, len(customers))
	for i, purchases := range customers {
		for _, p := range purchases {
			if !p.Time.After(now) {
				past[i] = append(past[i], p)
			}
		}
	}
	cut, err := customer.FitPropensity(past, now, 28*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i := range customers {
		a, _ := whole.Chance(customers[i], now)
		b, _ := cut.Chance(past[i], now)
		if a != b {
			t.Fatalf("customer %d: %v with the future, %v without", i, a, b)
		}
	}
}

func TestPropensityNeedsEnough(t *testing.T) {
	one := [][]customer.Purchase{{{Time: now.AddDate(0, 0, -10), Value: 1}}}
	if _, err := customer.FitPropensity(one, now, 28*24*time.Hour); !errors.Is(err, customer.ErrNoFit) {
		t.Errorf("got %v, want ErrNoFit", err)
	}
	if _, err := customer.FitPropensity(one, now, time.Hour); err == nil {
		t.Error("a horizon of an hour was accepted")
	}
}

// Judge agrees with counting all pairs.
func TestJudgeByPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var scores []float64
	var happened []bool
	for range 200 {
		scores, happened = append(scores, float64(r.IntN(20))/20), append(happened, r.IntN(3) == 0)
	}
	wins, pairs := 0.0, 0.0
	for i := range scores {
		for j := range scores {
			if happened[i] && !happened[j] {
				pairs++
				if scores[i] > scores[j] {
					wins++
				} else if scores[i] == scores[j] {
					wins += .5
				}
			}
		}
	}
	if j := customer.Judge(scores, scores, happened, nil, 1); math.Abs(j.AUC-wins/pairs) > 1e-12 || j.Gain != 0 || j.Low != 0 || j.High != 0 {
		t.Errorf("got AUC %v, gain %v [%v, %v]: want %v and none", j.AUC, j.Gain, j.Low, j.High, wins/pairs)
	}
}
