package job

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/store"
)

// tables reads the files as 'trainer import' of users, items or an audience
// would and stores nothing.
func (v *Validate) tables(env *Env) ([]tried, error) {
	fields := map[string][]string{"users": ingest.UserFields(), "items": ingest.ItemFields(), "audience": ingest.AudienceFields()}
	columns, err := ingest.ParseFields(v.Import, fields[v.As])
	if err != nil {
		return nil, fmt.Errorf("--import: %w", err)
	}
	var all []tried
	for _, path := range v.Files {
		src, err := ingest.File(path, ingest.Format{})
		if err != nil {
			return nil, err
		}
		t := tried{File: path, show: v.Show, more: map[string]int64{}}
		bar := env.Progress("check " + filepath.Base(path))
		report, err := v.table(env.Ctx, src, columns, &t)
		bar.Done()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		t.Table, t.Refused = &report, report.Refused
		all = append(all, t)
	}
	return all, nil
}

func (v *Validate) table(ctx context.Context, src ingest.Source, columns map[string]string, t *tried) (ingest.RecordReport, error) {
	o := ingest.RecordOptions{Columns: columns, Currency: "EUR"}
	switch v.As {
	case "users":
		return ingest.Users(ctx, src, unkept{t: t}, o)
	case "items":
		return ingest.Items(ctx, src, unkept{t: t}, o)
	}
	a := ingest.AudienceOptions{RecordOptions: o}
	if columns["audience"] == "" {
		a.Name = "checked" // the import's --name
	}
	r, err := ingest.Audience(ctx, src, unkept{t: t}, a)
	return r.RecordReport, err
}

// unkept is a sink of tables that keeps nothing and tells t what is refused.
type unkept struct {
	nowhere
	t *tried
}

func (u unkept) PutDead(_ context.Context, _ features.ShopID, letters []store.DeadLetter) error {
	for i := range letters {
		if u.t.more[letters[i].Rule]++; u.t.more[letters[i].Rule] <= int64(u.t.show) {
			line := letters[i].Source[strings.LastIndexByte(letters[i].Source, ':'):]
			u.t.Shown = append(u.t.Shown, u.t.File+line+": "+letters[i].Reason)
		}
	}
	return nil
}

func (unkept) PutUsers(context.Context, features.ShopID, []store.User) error { return nil }
func (unkept) GetUser(context.Context, features.ShopID, features.UserKey) (store.User, error) {
	return store.User{}, store.ErrNotFound
}
func (unkept) GetItem(context.Context, features.ShopID, string) (features.Item, error) {
	return features.Item{}, store.ErrNotFound
}
func (unkept) Enlist(_ context.Context, _ features.ShopID, _, _ string, people []store.Listed) (store.Enlisted, error) {
	return store.Enlisted{Stored: int64(len(people))}, nil
}
func (unkept) Retain(context.Context, features.ShopID, string, map[features.UserKey]struct{}) (int64, error) {
	return 0, nil
}
