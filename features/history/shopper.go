package history

import "github.com/attune-rec/attune/features"

// Rower gives items their rows; features.Catalog is one.
type Rower interface {
	Row(id string) (features.Row, bool)
}

// Shopper is the book as requests see it, by the rows of cat. Items that cat
// does not know are left out, and are back once it does: make the shopper anew
// for a new release or for new items. It shares nothing with the book. Key,
// Profile and Consent are the caller's to set before it is shared.
func (b *Book) Shopper(cat Rower) *features.Shopper {
	s := &features.Shopper{Recent: b.AppendRecent(cat, nil), Version: b.version}
	for id := range b.hidden {
		row, ok := cat.Row(id)
		if !ok {
			continue
		}
		if s.Hidden.Len() <= int(row) {
			s.Hidden = s.Hidden.Grow(int(row)/64*64 + 64)
		}
		s.Hidden.Set(row)
	}
	return s
}

// AppendRecent appends the netted history to dst: see Book.
func (b *Book) AppendRecent(cat Rower, dst []features.Interaction) []features.Interaction {
	b.Each(cat, func(it features.Interaction, _ string) { dst = append(dst, it) })
	return dst
}

// Each calls f with the netted history, oldest first, each interaction with
// the market it happened in: see Book.
func (b *Book) Each(cat Rower, f func(it features.Interaction, market string)) {
	kept := b.tail()
	pieces := make([]float32, len(kept)) // left of each entry; 0: it vanished
	for i := range kept {
		pieces[i] = kept[i].it.Quantity
		switch kept[i].it.Type {
		case features.CartRemove:
			takeBack(kept[:i], pieces, kept[i].id, features.CartAdd)
			pieces[i] = 0
		case features.WishRemove:
			takeBack(kept[:i], pieces, kept[i].id, features.WishAdd)
			pieces[i] = 0
		case features.Return:
			giveBack(kept[:i], pieces, &kept[i])
		}
	}
	for i := range kept {
		if pieces[i] <= 0 {
			continue
		}
		row, ok := cat.Row(kept[i].id)
		if !ok {
			continue
		}
		it := kept[i].it
		it.Row, it.Quantity = row, pieces[i]
		f(it, kept[i].where)
	}
}

// takeBack makes the newest entry of the type and item vanish.
func takeBack(before []entry, pieces []float32, id string, t features.EventType) {
	for i := len(before) - 1; i >= 0; i-- {
		if before[i].it.Type == t && before[i].id == id && pieces[i] > 0 {
			pieces[i] = 0
			return
		}
	}
}

// giveBack takes returned pieces off the purchases before, the newest first.
func giveBack(before []entry, pieces []float32, back *entry) {
	left := back.it.Quantity
	for i := len(before) - 1; i >= 0 && left > 0; i-- {
		e := &before[i]
		if e.it.Type != features.Purchase || e.id != back.id || e.order != back.order && e.order != "" && back.order != "" {
			continue
		}
		off := min(left, pieces[i])
		pieces[i] -= off
		left -= off
	}
}
