package rules

import "slices"

// worker mines top items one after another. Its buffers are used again for every
// condition.
type worker struct {
	*search
	out    Itemsets
	shares map[int32]share
	suffix []int32  // the items of the condition at hand
	counts []int32  // by item of a tree; zero between uses
	number []int32  // by item of a tree: its number in the next tree, plus one; zero between uses
	bit    []uint64 // by item of a tree: its bit in the next masks; zero between uses
	stack  []mask
	untold int64 // sets kept and not yet added to search.found
}

func newWorker(s *search) *worker {
	n := len(s.tree.ids)
	return &worker{
		search: s,
		shares: map[int32]share{},
		counts: make([]int32, n),
		number: make([]int32, n),
		bit:    make([]uint64, n),
	}
}

// work takes top items until none is left or the search stops.
func (w *worker) work() {
	for !w.stopped() {
		item := w.next.Add(1) - 1
		if int(item) >= len(w.tree.ids) {
			return
		}
		from := w.out.Len()
		w.mine(w.tree, item)
		w.shares[item] = share{w, from, w.out.Len()}
	}
}

// mine emits the sets whose least frequent item is the given one of t, each
// joined with the suffix.
func (w *worker) mine(t *tree, item int32) {
	if t.counts[item] < w.least() {
		return
	}
	w.push(t.ids[item])
	defer w.pop()
	w.emit(t.counts[item])
	if !w.deeper(1) {
		return
	}
	nodes := t.nodes[t.first[item]:t.first[item+1]]
	frequent, counts := w.partners(t, nodes, item)
	switch {
	case len(frequent) == 0:
	case len(frequent) <= maskItems:
		w.mineMasks(t, nodes, frequent, counts)
	default:
		w.mineTree(t, nodes, frequent, counts)
	}
}

// partners returns the items on the paths to nodes, all below item, that are
// frequent there, ascending, and how often each is.
func (w *worker) partners(t *tree, nodes []node, item int32) (frequent, counts []int32) {
	least := w.least()
	total := 0
	for _, n := range nodes {
		for _, i := range t.items[n.start:n.end] {
			w.counts[i] += n.count
		}
		total += int(n.end - n.start)
	}
	if total >= int(item) {
		for i, count := range w.counts[:item] {
			if count >= least {
				frequent = append(frequent, int32(i))
				counts = append(counts, count)
			}
		}
		clear(w.counts[:item])
		return frequent, counts
	}
	// Few paths among many items: look only where they led.
	for _, n := range nodes {
		for _, i := range t.items[n.start:n.end] {
			if w.counts[i] >= least {
				frequent = append(frequent, i)
				w.number[i] = w.counts[i]
			}
			w.counts[i] = 0
		}
	}
	slices.Sort(frequent)
	for _, i := range frequent {
		counts = append(counts, w.number[i])
		w.number[i] = 0
	}
	return frequent, counts
}

// mineMasks goes on from nodes of t with a few frequent items, as bit masks.
func (w *worker) mineMasks(t *tree, nodes []node, frequent, counts []int32) {
	var ids [maskItems]int32
	for l, i := range frequent {
		ids[l] = t.ids[i]
		w.push(ids[l])
		w.emit(counts[l])
		w.pop()
	}
	if len(frequent) < 2 || !w.deeper(2) {
		return
	}
	for l, i := range frequent {
		w.bit[i] = 1 << l
	}
	from := len(w.stack)
	for _, n := range nodes {
		var set uint64
		for _, i := range t.items[n.start:n.end] {
			set |= w.bit[i]
		}
		if set&(set-1) != 0 { // a single item leads to no pair
			w.stack = append(w.stack, mask{set, n.count})
		}
	}
	for _, i := range frequent {
		w.bit[i] = 0
	}
	w.masks(from, &ids)
	w.stack = w.stack[:from]
}

// mineTree goes on from nodes of t with many frequent items, as a tree of its own.
func (w *worker) mineTree(t *tree, nodes []node, frequent, counts []int32) {
	ids := make([]int32, len(frequent))
	for l, i := range frequent {
		ids[l] = t.ids[i]
		w.number[i] = int32(l) + 1
	}
	var items []int32
	routes := make([]route, 0, len(nodes))
	for _, n := range nodes {
		start := len(items)
		for _, i := range t.items[n.start:n.end] {
			if l := w.number[i]; l > 0 {
				items = append(items, l-1)
			}
		}
		if len(items)-start < 2 {
			items = items[:start]
			continue
		}
		routes = append(routes, route{start: int32(start), end: int32(len(items)), weight: n.count})
	}
	for _, i := range frequent {
		w.number[i] = 0
	}
	sub := grow(items, routes, counts, ids, 1)
	for l := range ids {
		if w.stopped() {
			return
		}
		w.mine(sub, int32(l))
	}
}

func (w *worker) push(id int32) { w.suffix = append(w.suffix, id) }
func (w *worker) pop()          { w.suffix = w.suffix[:len(w.suffix)-1] }
func (w *worker) least() int32  { return w.min.Load() }
func (w *worker) stopped() bool { return w.stop.Load() }

// deeper reports whether sets may have n items more than the suffix.
func (w *worker) deeper(n int) bool {
	return w.options.MaxLength == 0 || len(w.suffix)+n <= w.options.MaxLength
}

// tellEvery is how many sets a worker keeps before it tells the search, and so
// by how many sets, for each worker, the limit may be passed before all stop.
const tellEvery = 1024

// emit keeps the suffix as a set of the given count, or counts it when the
// search only looks for a threshold.
func (w *worker) emit(count int32) {
	if w.rise != nil {
		w.rise.add(count, &w.min)
		return
	}
	w.out.add(w.suffix, count)
	if w.untold++; w.untold == tellEvery {
		w.untold = 0
		if w.found.Add(tellEvery) > w.limit {
			w.stop.Store(true)
		}
	}
}
