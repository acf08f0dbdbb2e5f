package ingest

import (
	"fmt"
	"math"
	"slices"
)

// spread is how many robust standard deviations above the median, on the
// logarithmic scale, a quantity may lie. On a normal scale six are passed once
// in a thousand million.
const spread = 6

// minQuantities is how many quantities a limit needs to rest on.
const minQuantities = 100

// Limit is the greatest quantity that is not taken for an outlier; 0: none.
type Limit struct{ Quantity int32 }

// quantities counts how often each quantity occurs.
type quantities map[int32]int64

func (q quantities) add(n int32) {
	if n > 0 {
		q[n]++
	}
}

// limit is exp(median + spread · 1.4826 · MAD) of the logarithms. Capping what
// lies above it moves neither median nor MAD, so that a second pass finds the
// same limit.
func (q quantities) limit() Limit {
	var total int64
	logs := make([]weighted, 0, len(q))
	for n, count := range q {
		logs = append(logs, weighted{math.Log(float64(n)), count})
		total += count
	}
	if total < minQuantities {
		return Limit{}
	}
	median := medianOf(logs, total)
	for i := range logs {
		logs[i].value = math.Abs(logs[i].value - median)
	}
	mad := medianOf(logs, total)
	if mad == 0 {
		return Limit{}
	}
	v := math.Exp(median + spread*1.4826*mad)
	if v >= math.MaxInt32 {
		return Limit{}
	}
	return Limit{Quantity: int32(math.Ceil(v))}
}

type weighted struct {
	value float64
	count int64
}

func medianOf(values []weighted, total int64) float64 {
	slices.SortFunc(values, func(a, b weighted) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		}
		return 0
	})
	var seen int64
	for _, v := range values {
		if seen += v.count; 2*seen >= total {
			return v.value
		}
	}
	return 0
}

func outlier(limit *Limit) Rule {
	return &rule{"outlier_quantity", "quantities far beyond the rest (median and median deviation of logarithms) are cut to the limit", func(r *Record) (Effect, string) {
		if limit.Quantity == 0 || r.Event.Quantity <= limit.Quantity {
			return Kept, ""
		}
		was := r.Event.Quantity
		r.Event.Quantity = limit.Quantity
		return Changed, fmt.Sprintf("%d pieces of %s are cut to %d", was, r.Event.Item, limit.Quantity)
	}}
}
