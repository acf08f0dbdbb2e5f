package customer

import (
	"errors"
	"fmt"
	"time"
)

// Model predicts purchases and spend together, made by Fit.
type Model struct {
	Buying BGNBD
	// Spend is the zero value where purchases have no values to learn from.
	Spend GammaGamma
	// Scale multiplies expected purchases: what was bought over what was expected
	// in a back-test inside the observed period, 1 when there was none.
	Scale float64
	// Unit is the unit of time of histories and horizons.
	Unit time.Duration
}

// Outlook is what to expect of one customer within a horizon.
type Outlook struct {
	Alive      float64 // probability of not having left
	Repurchase float64 // probability of at least one purchase
	Purchases  float64 // expected number
	Value      float64 // expected discounted value, margin included; 0 when Spend is unknown
}

// Terms say how far to look and what a purchase is worth.
type Terms struct {
	Horizon float64 // in units of time
	Margin  float64 // share of the spend that counts, 1 for all
	Rate    float64 // discount per unit of time, compounded
}

// Fit estimates both models from every customer's purchases by until. The
// back-test fits the purchases of the first half of the period, expects those of
// the second, and takes the ratio as Scale: the models know neither seasons nor
// growth, which shift all customers alike. Where the first half is too short to
// fit, Scale is 1.
func Fit(customers [][]Purchase, until time.Time, unit time.Duration) (*Model, error) {
	if unit <= 0 {
		return nil, fmt.Errorf("unit of time %v, want one above 0", unit)
	}
	histories, spends := summariseAll(customers, until, unit)
	buying, err := FitBGNBD(histories)
	if err != nil {
		return nil, fmt.Errorf("purchases: %w", err)
	}
	spend, err := FitGammaGamma(spends)
	if err != nil && !errors.Is(err, ErrNoFit) {
		return nil, fmt.Errorf("spend: %w", err)
	}
	return &Model{Buying: buying, Spend: spend, Scale: backTest(customers, until, unit), Unit: unit}, nil
}

// summariseAll makes the histories of those who bought by until.
func summariseAll(customers [][]Purchase, until time.Time, unit time.Duration) (histories []History, spends []Spend) {
	for _, purchases := range customers {
		if h, s, ok := Summarise(purchases, until, unit); ok {
			histories, spends = append(histories, h), append(spends, s)
		}
	}
	return histories, spends
}

// backTest returns purchases made over purchases expected, in the second half of
// the period by customers of the first, or 1 where that says nothing.
func backTest(customers [][]Purchase, until time.Time, unit time.Duration) float64 {
	first := until
	for _, purchases := range customers {
		for _, p := range purchases {
			if p.Time.Before(first) {
				first = p.Time
			}
		}
	}
	days := int(dayOf(until) - dayOf(first))
	middle := until.AddDate(0, 0, -days/2)
	histories, _ := summariseAll(customers, middle, unit)
	m, err := FitBGNBD(histories)
	if err != nil {
		return 1
	}
	horizon := float64(days/2) * float64(24*time.Hour) / float64(unit)
	made, expected := 0.0, 0.0
	for _, purchases := range customers {
		before, _, ok := Summarise(purchases, middle, unit)
		if !ok {
			continue
		}
		after, _, _ := Summarise(purchases, until, unit)
		made += float64(after.Repeats - before.Repeats)
		expected += m.Purchases(before, horizon)
	}
	if made == 0 || expected == 0 {
		return 1
	}
	return made / expected
}

// Outlook predicts for one customer.
func (m *Model) Outlook(h History, s Spend, t Terms) (Outlook, error) {
	if err := h.check(); err != nil {
		return Outlook{}, err
	}
	value := 0.0
	if m.Spend != (GammaGamma{}) {
		var err error
		if value, err = Value(m.Buying, m.Spend, h, s, t.Horizon, t.Margin, t.Rate); err != nil {
			return Outlook{}, err
		}
	}
	return Outlook{
		Alive:      m.Buying.Alive(h),
		Repurchase: m.Buying.Repurchase(h, t.Horizon),
		Purchases:  m.Scale * m.Buying.Purchases(h, t.Horizon),
		Value:      m.Scale * value,
	}, nil
}
