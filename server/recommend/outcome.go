package recommend

import (
	"context"
	"errors"
	"time"

	"github.com/attune-rec/attune/features"
)

// Outcome is what became of a question.
type Outcome struct {
	Shop    features.ShopID
	Release string // the version that answered, or should have
	Took    time.Duration
	Failed  bool // no answer, or one that a part broke down or came late for
	Empty   bool // a first page without items
}

// observe tells what became of a question. What its caller did wrong, and one
// who left, say nothing of the release.
func (rec *Recommender) observe(q *Query, version string, took time.Duration, ans *Answer, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, ErrPage) {
		return
	}
	o := Outcome{Shop: q.Shop, Release: version, Took: took, Failed: err != nil}
	if err == nil {
		o.Empty = q.Seen == nil && len(ans.Items) == 0
		for _, d := range ans.Degraded {
			o.Failed = o.Failed || d.Why == "error" || d.Why == "timeout"
		}
	}
	rec.o.Observe(o)
}
