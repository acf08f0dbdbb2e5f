package ingest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/attune-rec/attune/features/store"
)

// upsert imports a table over what is stored: T is what a row says something
// of, K its key in the store. A record that is as stored is not written again.
type upsert[K comparable, T any] struct {
	records
	keyOf func(id string) K
	get   func(K) (T, error) // store.ErrNotFound: it is new
	put   func([]T) error    // durable when it returns; the slice is reused after
	over  func(old T, key K, id string, cells []cell) (T, error)
	touch func(*T) // says that it changes now

	batch []T
	at    map[K]int // in the batch
}

// run imports the whole table.
func (u *upsert[K, T]) run() (RecordReport, error) {
	u.at = map[K]int{}
	if err := u.each(u.row, u.flush); err != nil {
		return u.report, fmt.Errorf("import %s: %w", u.src.Name(), err)
	}
	return u.report, nil
}

// row takes in one row; a *RowError refuses it.
func (u *upsert[K, T]) row(line int64, cells []cell) error {
	i := slices.IndexFunc(cells, func(c cell) bool { return c.field == "id" })
	if i < 0 {
		return &RowError{Line: line, Column: u.o.Columns["id"], Reason: "is empty: expected the shop's id of the " + u.kind}
	}
	id := identifier(cells[i].value)
	key := u.keyOf(id)
	old, err := u.before(key)
	isNew := errors.Is(err, store.ErrNotFound)
	if err != nil && !isNew {
		return err
	}
	now, err := u.over(old, key, id, cells)
	if err != nil {
		return err
	}
	if !isNew && reflect.DeepEqual(now, old) {
		u.report.Same++
		return nil
	}
	u.touch(&now)
	u.report.Stored++
	if n, ok := u.at[key]; ok {
		u.batch[n] = now
		return nil
	}
	u.at[key] = len(u.batch)
	u.batch = append(u.batch, now)
	return nil
}

// before is the record as the rows so far have left it.
func (u *upsert[K, T]) before(key K) (T, error) {
	if n, ok := u.at[key]; ok {
		return u.batch[n], nil
	}
	return u.get(key)
}

func (u *upsert[K, T]) flush() error {
	if len(u.batch) == 0 {
		return nil
	}
	err := u.put(u.batch)
	u.batch = u.batch[:0]
	clear(u.at)
	return err
}
