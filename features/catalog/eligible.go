package catalog

import (
	"time"

	"github.com/attune-rec/attune/features"
)

// baseKey is a market and a stretch of time in which no sale begins or ends.
type baseKey struct {
	market string
	epoch  int
}

// baseCap bounds the sets kept by one snapshot: time only moves on, so old
// stretches are thrown away with all others when there are too many.
const baseCap = 512

// Eligible makes dst the rows that may be sold in market at now: visible,
// offered there, in stock there, and inside their sale window. An unknown
// market takes what is sold and stocked everywhere; market "" takes all that
// is in stock elsewhere.
func (s *Snapshot) Eligible(market string, now time.Time, dst *features.Bitmap) {
	if dst.Len() != s.n {
		dst.Resize(s.n)
	}
	dst.CopyFrom(s.Base(market, now))
}

// Base is the set of Eligible, shared and read-only. It is made once for a
// market and a stretch of time.
func (s *Snapshot) Base(market string, now time.Time) *features.Bitmap {
	key := baseKey{market: market, epoch: s.windows.epoch(now)}
	if !s.named(market) {
		key.market = "\x00elsewhere"
	}
	s.mu.RLock()
	b := s.base[key]
	s.mu.RUnlock()
	if b != nil {
		return b
	}
	b = s.makeBase(market, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.base) >= baseCap {
		clear(s.base)
	}
	s.base[key] = b
	return b
}

// named reports whether the catalogue tells the market from others.
func (s *Snapshot) named(market string) bool {
	if market == "" {
		return true
	}
	_, sold := s.market.named[market]
	_, stocked := s.stock.named[market]
	return sold || stocked
}

func (s *Snapshot) makeBase(market string, now time.Time) *features.Bitmap {
	b := s.visible.Grow(s.n)
	b.And(s.Where(features.AttrMarket, market))
	b.And(s.Where(features.AttrStock, market))
	for _, row := range s.windows.rows {
		if !s.Item(row).OnSale(now) {
			b.Clear(row)
		}
	}
	return b
}
