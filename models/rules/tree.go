package rules

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// tree is an FP-tree whose paths lie flat. Items are numbered by falling
// frequency, every path ascends, and the paths are sorted, so that equal
// prefixes are neighbours. A node is then no more than the slice of items that
// leads to it, taken from the first path that passes, and its count: walking to
// the root reads memory in order, and there are no child pointers to search.
type tree struct {
	items  []int32 // the paths, one after another
	nodes  []node  // grouped by item
	first  []int32 // the nodes of item i are nodes[first[i]:first[i+1]]
	counts []int32 // how many baskets under the tree's condition hold item i
	ids    []int32 // the number that the caller knows item i by
}

// node stands for the path items[start:end] followed by the node's own item.
type node struct{ start, end, count int32 }

// route is a path still to be merged into a tree: items[start:end], with a
// sorting key made of its first items.
type route struct {
	key                uint64
	start, end, weight int32
	shared             int32 // leading items in common with the route before it
}

// keyWidth is the number of bits that an item of a tree with n items takes in a
// key: one value beyond the items marks the end of a path.
func keyWidth(n int) int {
	switch {
	case n < 1<<8:
		return 8
	case n < 1<<16:
		return 16
	default:
		return 32
	}
}

// keyOf packs as many leading items as fit, so that most comparisons of routes
// are one of integers.
func keyOf(path []int32, width int) (key uint64) {
	for shift := 64 - width; len(path) > 0 && shift >= 0; shift -= width {
		key |= uint64(path[0]+1) << shift
		path = path[1:]
	}
	return key
}

// grow builds the tree of routes over len(counts) items. The routes, each of at
// least one item, are reordered on the way.
func grow(items []int32, routes []route, counts, ids []int32, workers int) *tree {
	width := keyWidth(len(counts))
	for i := range routes {
		routes[i].key = keyOf(items[routes[i].start:routes[i].end], width)
	}
	routes = sortRoutes(items, routes, len(counts), width, workers)

	first := make([]int32, len(counts)+1)
	var last []int32
	for i := range routes {
		r := &routes[i]
		path := items[r.start:r.end]
		r.shared = int32(commonPrefix(last, path))
		for _, item := range path[r.shared:] {
			first[item+1]++
		}
		last = path
	}
	for i := range counts {
		first[i+1] += first[i]
	}

	next := slices.Clone(first[:len(counts)])
	nodes := make([]node, first[len(counts)])
	var open []int32 // the nodes of the path at hand, by depth
	for _, r := range routes {
		open = open[:r.shared]
		for _, n := range open {
			nodes[n].count += r.weight
		}
		for at := r.start + r.shared; at < r.end; at++ {
			n := next[items[at]]
			next[items[at]]++
			nodes[n] = node{r.start, at, r.weight}
			open = append(open, n)
		}
	}
	return &tree{items: items, nodes: nodes, first: first, counts: counts, ids: ids}
}

func commonPrefix(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// sortRoutes sorts by path: many routes are first dealt out by their first item,
// and the deals then sorted by several workers.
func sortRoutes(items []int32, routes []route, n, width, workers int) []route {
	packed := int32(64 / width)
	compare := func(a, b route) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		if min(a.end-a.start, b.end-b.start) <= packed {
			return cmp.Compare(a.end-a.start, b.end-b.start)
		}
		return slices.Compare(items[a.start:a.end], items[b.start:b.end])
	}
	if len(routes) < 1<<12 {
		slices.SortFunc(routes, compare)
		return routes
	}
	ends := make([]int, n+1)
	for _, r := range routes {
		ends[items[r.start]+1]++
	}
	for i := range n {
		ends[i+1] += ends[i]
	}
	dealt := make([]route, len(routes))
	for _, r := range routes {
		lead := items[r.start]
		dealt[ends[lead]] = r
		ends[lead]++ // ends[lead] started as the start of its deal
	}
	var next atomic.Int32
	spread(workers, func() {
		for {
			lead := int(next.Add(1)) - 1
			if lead >= n {
				return
			}
			from := 0
			if lead > 0 {
				from = ends[lead-1]
			}
			slices.SortFunc(dealt[from:ends[lead]], compare)
		}
	})
	return dealt
}

// spread runs work in n goroutines at once and waits for all.
func spread(n int, work func()) {
	var wait sync.WaitGroup
	for range n - 1 {
		wait.Go(work)
	}
	work()
	wait.Wait()
}

// plant builds the tree of whole baskets: items below the minimum are dropped,
// the others renumbered by falling count, ties by item.
func plant(b *Baskets, least int32, workers int) *tree {
	counts := b.itemCounts()
	var ids []int32
	for item, count := range counts {
		if count >= least {
			ids = append(ids, int32(item))
		}
	}
	slices.SortFunc(ids, func(x, y int32) int {
		return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y))
	})
	rank := make([]int32, len(counts))
	for i := range rank {
		rank[i] = -1
	}
	kept := make([]int32, len(ids))
	for r, id := range ids {
		rank[id] = int32(r)
		kept[r] = counts[id]
	}
	items := make([]int32, len(b.items))
	routes := make([]route, b.Len())
	const chunk = 1 << 12
	var next atomic.Int64
	spread(workers, func() {
		for {
			from := int(next.Add(chunk)) - chunk
			if from >= len(routes) {
				return
			}
			for i := from; i < min(from+chunk, len(routes)); i++ {
				routes[i] = renumber(b, i, rank, items)
			}
		}
	})
	// A single item leads to no pair, and its count is known.
	routes = slices.DeleteFunc(routes, func(r route) bool { return r.end-r.start < 2 })
	return grow(items, routes, kept, ids, workers)
}

// renumber writes the ranks of basket i, ascending, to its place in items.
func renumber(b *Baskets, i int, rank, items []int32) route {
	own := b.At(i)
	start := b.ends[i] - len(own)
	end := start
	for _, item := range own {
		if r := rank[item]; r >= 0 {
			items[end] = r
			end++
		}
	}
	if path := items[start:end]; len(path) > 24 {
		slices.Sort(path)
	} else {
		sortShort(path)
	}
	return route{start: int32(start), end: int32(end), weight: 1}
}
