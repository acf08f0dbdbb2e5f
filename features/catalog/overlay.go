package catalog

// overlay is an immutable map made of layers, the newest last. Adding to it
// copies as much as it adds, and now and then merges layers of like size, so
// that n additions copy O(n log n) entries and a look-up passes O(log n) maps.
type overlay[K comparable, V any] struct {
	layers []map[K]V
}

func (o overlay[K, V]) get(k K) (V, bool) {
	for i := len(o.layers) - 1; i >= 0; i-- {
		if v, ok := o.layers[i][k]; ok {
			return v, true
		}
	}
	var zero V
	return zero, false
}

// with is o and what is new, which the overlay owns from then on.
func (o overlay[K, V]) with(fresh map[K]V) overlay[K, V] {
	if len(fresh) == 0 {
		return o
	}
	layers := append([]map[K]V(nil), o.layers...)
	owned := fresh
	for len(layers) > 0 {
		below := layers[len(layers)-1]
		if len(below) > 2*len(owned) {
			break
		}
		merged := make(map[K]V, len(below)+len(owned))
		for k, v := range below {
			merged[k] = v
		}
		for k, v := range owned {
			merged[k] = v
		}
		owned, layers = merged, layers[:len(layers)-1]
	}
	return overlay[K, V]{layers: append(layers, owned)}
}
