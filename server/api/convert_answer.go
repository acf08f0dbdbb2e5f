package api

import (
	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/recommend"
)

// parts is everything an answered item is made of on the wire, so that it
// takes one piece of memory and not five.
type parts struct {
	item     attunev1.RecommendedItem
	reason   attunev1.Reason
	evidence attunev1.Evidence
	price    attunev1.Money
	list     [1]*attunev1.Evidence
}

// itemsToProto takes its memory from room; nil: it makes its own.
func itemsToProto(items []recommend.Item, room *Room) []*attunev1.RecommendedItem {
	if len(items) == 0 {
		return nil
	}
	out, memory := room.take(len(items))
	for i := range items {
		it, p := &items[i], &memory[i]
		p.item.Item, p.item.Score, p.item.Source = it.ID, float64(it.Score), it.Source
		p.item.Title, p.item.Sponsored = it.Title, it.Sponsored
		if !it.Price.IsZero() {
			p.price.Currency, p.price.Micros = it.Price.Currency, it.Price.Micros
			p.item.Price = &p.price
		}
		if it.Reason.Kind != "" {
			p.reason.Kind, p.reason.Text = string(it.Reason.Kind), it.Text
			p.item.Reason = &p.reason
			if it.Because != "" || it.Reason.Name != "" {
				p.evidence.Item, p.evidence.Name = it.Because, it.Reason.Name
				p.evidence.Contribution = float64(it.Reason.Contribution)
				if it.Reason.Type != features.EventUnknown {
					p.evidence.EventType = it.Reason.Type.String()
				}
				p.list[0] = &p.evidence
				p.reason.Evidence = p.list[:]
			}
		}
		out[i] = &p.item
	}
	return out
}
