package catalog

import (
	"math"
	"sync"
)

// pricesCap bounds the lists kept by one snapshot, one for each market.
const pricesCap = 64

// priceLists is the price lists that were asked for.
type priceLists struct {
	mu  sync.RWMutex
	all map[string][]float64
}

// Prices is the price of each row in market, in units of its currency; NaN for
// an item without one. It is made once a market, shared and read-only.
func (s *Snapshot) Prices(market string) []float64 {
	s.prices.mu.RLock()
	list := s.prices.all[market]
	s.prices.mu.RUnlock()
	if list != nil {
		return list
	}
	list = make([]float64, s.n)
	for row := range list {
		list[row] = math.NaN()
		if it := s.chunks[row/chunkRows].items[row%chunkRows]; it != nil {
			if p := it.PriceIn(market); !p.IsZero() {
				list[row] = p.Units()
			}
		}
	}
	s.prices.mu.Lock()
	defer s.prices.mu.Unlock()
	if s.prices.all == nil || len(s.prices.all) >= pricesCap {
		s.prices.all = map[string][]float64{}
	}
	s.prices.all[market] = list
	return list
}
