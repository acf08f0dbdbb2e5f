package steady

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/history"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/loadtest/shop"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release"
)

// Judges works answers out from the releases in a folder and the log of a store.
// It is used by one goroutine.
type Judges struct {
	ctx      context.Context
	shop     features.ShopID
	log      *store.Store
	names    *features.Pseudonyms
	releases map[string]*judged
	logs     map[string][]features.Event
}

// judged is one release.
type judged struct {
	release *release.Release
	items   *catalog.Snapshot
	model   models.Model
	marker  string // what stands before the ids of its own items
}

// OpenJudges opens the store and the releases of a data directory, beside the
// server that uses them. The model's scores are those of the checked surface.
func OpenJudges(ctx context.Context, log *store.Store, folder string, id features.ShopID, versions []string, model string, kinds release.Kinds) (*Judges, error) {
	j := &Judges{ctx: ctx, shop: id, log: log, releases: map[string]*judged{}, logs: map[string][]features.Event{}}
	var err error
	if j.names, err = log.Pseudonyms(ctx, id); err != nil {
		return nil, err
	}
	for _, version := range versions {
		r, err := release.Open(ctx, release.NewFolder(folder), id, version, kinds)
		if err != nil {
			j.Close()
			return nil, err
		}
		one := &judged{release: r}
		j.releases[version] = one
		if one.items, err = catalog.Of(r.Items); err != nil {
			j.Close()
			return nil, err
		}
		var ok bool
		if one.model, ok = r.Model(model); !ok {
			j.Close()
			return nil, fmt.Errorf("release %s has no model %q", version, model)
		}
		for i := range r.Items {
			if name, ok := shop.Marker(r.Items[i].ID); ok {
				one.marker = name
				break
			}
		}
	}
	return j, nil
}

// Markers is how many releases have items of their own, which no other has.
func (j *Judges) Markers() int {
	seen := map[string]bool{}
	for _, r := range j.releases {
		if r.marker != "" {
			seen[r.marker] = true
		}
	}
	return len(seen)
}

// Close closes the releases; the store is its opener's.
func (j *Judges) Close() {
	for _, r := range j.releases {
		_ = r.release.Close()
	}
}

// Had is the items in a shopper's log as it is now; the next look reads it anew.
func (j *Judges) Had(user string) (map[string]bool, error) {
	past, err := j.log.History(j.ctx, j.shop, j.names.User(user), features.HistoryCap)
	had := map[string]bool{}
	for i := range past {
		had[past[i].Item] = true
	}
	return had, err
}

// Wrong implements Judge.
func (j *Judges) Wrong(user string, exact bool, a *attunev1.RecommendResponse) error {
	r := j.releases[a.GetRelease()]
	if r == nil {
		return fmt.Errorf("an answer of release %q, which was not promoted", a.GetRelease())
	}
	rows := make([]features.Row, len(a.GetItems()))
	for i, it := range a.GetItems() {
		if name, ok := shop.Marker(it.GetItem()); ok && name != r.marker {
			return fmt.Errorf("release %s answers %s, which another release has", a.GetRelease(), it.GetItem())
		}
		var ok bool
		if rows[i], ok = r.items.Row(it.GetItem()); !ok {
			return fmt.Errorf("release %s answers %s, which it does not have", a.GetRelease(), it.GetItem())
		}
	}
	if !exact {
		return nil
	}
	past, ok := j.logs[user]
	if !ok {
		var err error
		if past, err = j.log.History(j.ctx, j.shop, j.names.User(user), features.HistoryCap); err != nil {
			return err
		}
		j.logs[user] = past
	}
	who := history.Of(past).Shopper(r.items)
	who.Consent = features.AllPurposes
	scores := make([]float32, len(rows))
	r.model.Score(&features.Request{
		Query:   features.Query{Shop: j.shop, Now: time.Now(), Limit: len(rows)},
		Shopper: who, Item: features.NoRow, Catalog: r.items, Scratch: new(features.Scratch),
	}, rows, scores)
	for i, want := range scores {
		if got := a.GetItems()[i].GetScore(); !(math.Abs(got-float64(want)) <= 1e-5*(1+math.Abs(float64(want)))) {
			return fmt.Errorf("release %s, user %s, %s: score %v, worked out %v", a.GetRelease(), user, strings.TrimSpace(a.GetItems()[i].GetItem()), got, want)
		}
	}
	return nil
}
