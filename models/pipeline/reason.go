package pipeline

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// BecauseOfHistory is a model's explanation as a reason: what in the shopper's
// history the item's score rests on most. There is none without an explainer,
// without evidence, where the evidence is the item itself, or where it speaks
// against an item rather than for it.
func BecauseOfHistory(e models.Explainer, r *features.Request, item features.Row) (Reason, bool) {
	if e == nil {
		return Reason{}, false
	}
	ev, ok := e.Explain(r, item)
	if !ok || ev.Item == features.NoRow || !(ev.Contribution > 0) || ev.Item == item || !ev.Type.Interest() {
		return Reason{}, false
	}
	return Reason{Kind: BecauseOf, Item: ev.Item, Type: ev.Type, Contribution: ev.Contribution}, true
}
