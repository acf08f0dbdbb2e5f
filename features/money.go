package features

import "fmt"

// Money is an amount in millionths of a currency's unit. The zero value is no
// amount at all, which differs from an amount of 0 in a named currency.
type Money struct {
	Micros   int64
	Currency string // ISO 4217, upper case: "EUR"
}

// IsZero reports whether m is no amount.
func (m Money) IsZero() bool { return m == Money{} }

// Units is the amount in the currency's unit, for arithmetic where rounding
// does not matter (features, sums of training weights).
func (m Money) Units() float64 { return float64(m.Micros) / 1e6 }

// String is the amount with two decimals, then the currency: "12.50 EUR".
func (m Money) String() string {
	if m.IsZero() {
		return ""
	}
	return fmt.Sprintf("%.2f %s", m.Units(), m.Currency)
}

// MoneyOf is units of the currency, rounded to the nearest millionth.
func MoneyOf(units float64, currency string) Money {
	micros := units * 1e6
	if micros < 0 {
		return Money{Micros: int64(micros - 0.5), Currency: currency}
	}
	return Money{Micros: int64(micros + 0.5), Currency: currency}
}
