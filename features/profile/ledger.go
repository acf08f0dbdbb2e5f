package profile

import (
	"sync"
	"unique"

	"github.com/attune-rec/attune/features"
)

// SalesKept is how many of the newest purchases goods are measured by.
const SalesKept = 200_000

// Ledger is the newest SalesKept purchases of a shop, as far as a Reference
// needs them. The zero value is empty. It is safe for concurrent use.
type Ledger struct {
	mu    sync.Mutex
	sales []sold
	next  int // where the next goes, once full
}

// sold is one purchase.
type sold struct {
	item  unique.Handle[string]
	price features.Money
	list  string // the list price that the event told; "" for none
}

// Add takes a purchase with a price in; other events do nothing.
func (l *Ledger) Add(e *features.Event) {
	if e.Type != features.Purchase || e.Price.Micros <= 0 {
		return
	}
	s := sold{unique.Make(e.Item), e.Price, e.Attributes[AttrListPrice]}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sales) < SalesKept {
		l.sales = append(l.sales, s)
		return
	}
	l.sales[l.next] = s
	l.next = (l.next + 1) % SalesKept
}

// Each gives the purchases as events, in the order they came: an iter.Seq that
// NewReference takes.
func (l *Ledger) Each(yield func(features.Event) bool) {
	for _, s := range l.ordered() {
		e := features.Event{Type: features.Purchase, Item: s.item.Value(), Price: s.price}
		if s.list != "" {
			e.Attributes = map[string]string{AttrListPrice: s.list}
		}
		if !yield(e) {
			return
		}
	}
}

func (l *Ledger) ordered() []sold {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append(make([]sold, 0, len(l.sales)), l.sales[l.next:]...), l.sales[:l.next]...)
}

// Before puts older purchases in front of those that are there, as many as
// there is room for.
func (l *Ledger) Before(older *Ledger) {
	sales := older.ordered()
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := SalesKept - len(l.sales); len(sales) > left {
		sales = sales[len(sales)-left:]
	}
	l.sales = append(sales, l.sales...) // where it is full already, sales is empty
}

// Clear forgets them all.
func (l *Ledger) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sales, l.next = nil, 0
}
