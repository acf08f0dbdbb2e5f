package ingest

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
)

// Effect is what a rule did to a row.
type Effect int

// The effects.
const (
	Kept    Effect = iota
	Noted          // counted, and left as it was
	Changed        // something was mended
	Refused        // goes to the refused rows
)

// Rule looks at one row. Rules run in order until one refuses. Apply returns
// what it did and, unless Kept, why in words.
type Rule interface {
	Name() string
	Description() string
	Apply(*Record) (Effect, string)
}

// rule is a Rule from its parts.
type rule struct {
	name, description string
	apply             func(*Record) (Effect, string)
}

func (r *rule) Name() string                       { return r.name }
func (r *rule) Description() string                { return r.description }
func (r *rule) Apply(rec *Record) (Effect, string) { return r.apply(rec) }

// rules are the rules of one pass over a source, in order.
func rules(m *Mapping, o *Options, known *learnt) []Rule {
	all := []Rule{
		missingItem(), nonProduct(m), itemCase(m), absent(m, known.lines), missingCustomer(), badPrice(m), badQuantity(), impossibleTime(o.Clock()),
		duplicate(),
		flaggedBuyer(Bot, "shoppers with far more acts on a day than the others are programs", known.flags, o.Quarantine),
		flaggedBuyer(Bulk, "shoppers whose orders are far larger than the others' do not buy for themselves", known.flags, o.Quarantine),
		newReturns(), outlier(&known.limit), outlierPrice(known.prices, o.Prices),
	}
	return append(all, o.Rules...)
}

func missingItem() Rule {
	return &rule{"missing_item", "rows about an item need its code", func(r *Record) (Effect, string) {
		if r.Event.Item == "" && r.Event.Type.AboutItem() {
			return Refused, "no item code"
		}
		return Kept, ""
	}}
}

func nonProduct(m *Mapping) Rule {
	return &rule{"non_product", "postage, fees, discounts, samples and manual entries are no products", func(r *Record) (Effect, string) {
		if m.ItemCode != nil && r.Event.Item != "" && !m.ItemCode.MatchString(r.Event.Item) {
			return Refused, "code " + r.Event.Item + " is not a product's"
		}
		return Kept, ""
	}}
}

func itemCase(m *Mapping) Rule {
	return &rule{"item_code_case", "item codes that differ in letter case alone are one item", func(r *Record) (Effect, string) {
		if !m.UpperItem {
			return Kept, ""
		}
		if upper := upperASCII(r.Event.Item); upper != r.Event.Item {
			was := r.Event.Item
			r.Event.Item = upper
			return Changed, was + " is read as " + upper
		}
		return Kept, ""
	}}
}

func upperASCII(s string) string {
	for i := range len(s) {
		if s[i] >= 'a' && s[i] <= 'z' {
			b := []byte(s)
			for k := i; k < len(b); k++ {
				if b[k] >= 'a' && b[k] <= 'z' {
					b[k] -= 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func missingCustomer() Rule {
	return &rule{"missing_customer", "rows need a customer or a session", func(r *Record) (Effect, string) {
		if r.User == "" && r.Session == "" {
			return Refused, "no customer"
		}
		return Kept, ""
	}}
}

// priced reports whether events of the type carry a price and a quantity.
func priced(t features.EventType) bool { return t == features.Purchase || t == features.Return }

// badPrice has nothing to say of a source that names no prices.
func badPrice(m *Mapping) Rule {
	_, given := m.Columns["price"]
	return &rule{"non_positive_price", "what is bought or given back has a price above 0", func(r *Record) (Effect, string) {
		if given && priced(r.Event.Type) && r.Event.Price.Micros <= 0 {
			return Refused, fmt.Sprintf("price %.2f", r.Event.Price.Units())
		}
		return Kept, ""
	}}
}

func badQuantity() Rule {
	return &rule{"non_positive_quantity", "a quantity of 0 says nothing; one below 0 is something given back, and only of a purchase", func(r *Record) (Effect, string) {
		switch q := r.Event.Quantity; {
		case q < 0 && !priced(r.Event.Type):
			return Refused, fmt.Sprintf("quantity %d of %s", q, r.Event.Type)
		case q == 0 && r.Cancelled:
			return Refused, "quantity 0 of a cancellation"
		}
		return Kept, ""
	}}
}

func impossibleTime(now time.Time) Rule {
	first, last := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), now.Add(24*time.Hour)
	return &rule{"impossible_time", "times lie between 1990 and tomorrow", func(r *Record) (Effect, string) {
		switch t := r.Event.Time; {
		case t.IsZero():
			return Refused, "no time"
		case t.Before(first), t.After(last):
			return Refused, "time " + t.Format(time.RFC3339)
		}
		return Kept, ""
	}}
}

func duplicate() Rule {
	return &rule{"exact_duplicate", "a row that equals an earlier one in every column is counted once", func(r *Record) (Effect, string) {
		if r.Twin > 0 {
			return Refused, fmt.Sprintf("%d equal rows before it", r.Twin)
		}
		return Kept, ""
	}}
}

// rowHash is 96 bits of the SHA-256 of a row.
type rowHash [12]byte

func hashRow(content []byte) (h rowHash) {
	sum := sha256.Sum256(content)
	copy(h[:], sum[:])
	return h
}
