package signal

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
)

// editions gives each catalogue that is asked about a number above 0, so that
// what was found in one is told from what was found in another by a look.
type editions struct {
	mu   sync.Mutex
	last uint32
	all  atomic.Pointer[[]edition]
}

type edition struct {
	items  features.Catalog
	number uint32
}

// mostEditions are told apart; of more, the oldest gets another number.
const mostEditions = 4

// edition is the number of c, which does not change.
func (m *Memory) edition(c features.Catalog) uint32 {
	if n := m.editions.of(c); n != 0 {
		return n
	}
	e := &m.editions
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := e.of(c); n != 0 {
		return n
	}
	e.last++
	all := []edition{{c, e.last}}
	if before := e.all.Load(); before != nil {
		all = append(all, (*before)[:min(len(*before), mostEditions-1)]...)
	}
	e.all.Store(&all)
	return e.last
}

func (e *editions) of(c features.Catalog) uint32 {
	if all := e.all.Load(); all != nil {
		for i := range *all {
			if (*all)[i].items == c {
				return (*all)[i].number
			}
		}
	}
	return 0
}

// keep forgets all but these.
func (e *editions) keep(catalogues []features.Catalog) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if all := e.all.Load(); all != nil {
		left := slices.DeleteFunc(slices.Clone(*all), func(x edition) bool { return !slices.Contains(catalogues, x.items) })
		e.all.Store(&left)
	}
}
