package rules

import (
	"cmp"
	"slices"
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
}

// keyed fills in the key of r: as many leading items as fit, so that most
// comparisons are decided by one of integers.
func keyed(r route, items []int32, width int) route {
	shift := 64
	for _, item := range items[r.start:r.end] {
		shift -= width
		if shift < 0 {
			break
		}
		r.key |= uint64(item+1) << shift
	}
	return r
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

// grow builds the tree of the given routes over len(counts) items and reorders
// routes on the way.
func grow(items []int32, routes []route, counts, ids []int32) *tree {
	width := keyWidth(len(counts))
	for i := range routes {
		routes[i] = keyed(routes[i], items, width)
	}
	packed := 64 / width
	slices.SortFunc(routes, func(a, b route) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		if int(min(a.end-a.start, b.end-b.start)) <= packed {
			return cmp.Compare(a.end-a.start, b.end-b.start)
		}
		return slices.Compare(items[a.start:a.end], items[b.start:b.end])
	})

	nodes := make([]node, 0, len(routes))
	first := make([]int32, len(counts)+1)
	var open []int32 // the nodes of the path at hand, by depth
	var last []int32
	for _, r := range routes {
		path := items[r.start:r.end]
		shared := commonPrefix(last, path)
		for _, n := range open[:shared] {
			nodes[n].count += r.weight
		}
		open = open[:shared]
		for depth := shared; depth < len(path); depth++ {
			open = append(open, int32(len(nodes)))
			nodes = append(nodes, node{r.start, r.start + int32(depth), r.weight})
			first[path[depth]+1]++
		}
		last = path
	}
	for i := range counts {
		first[i+1] += first[i]
	}
	next := slices.Clone(first[:len(counts)])
	grouped := make([]node, len(nodes))
	for _, n := range nodes {
		item := items[n.end]
		grouped[next[item]] = n
		next[item]++
	}
	return &tree{items: items, nodes: grouped, first: first, counts: counts, ids: ids}
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

// plant builds the tree of whole baskets: items below the minimum are dropped,
// the others renumbered by falling count, ties by item.
func plant(b *Baskets, least int32) *tree {
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

	items := make([]int32, 0, len(b.items))
	routes := make([]route, 0, b.Len())
	for i := range b.Len() {
		start := len(items)
		for _, item := range b.At(i) {
			if r := rank[item]; r >= 0 {
				items = append(items, r)
			}
		}
		path := items[start:]
		if len(path) < 2 { // a single item leads to no pair; its count is known
			items = items[:start]
			continue
		}
		if len(path) > 24 {
			slices.Sort(path)
		} else {
			sortShort(path)
		}
		routes = append(routes, route{start: int32(start), end: int32(len(items)), weight: 1})
	}
	return grow(items, routes, kept, ids)
}
