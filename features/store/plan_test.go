package store

import (
	"context"
	"strings"
	"testing"
)

// A lookup by key must not become slower with every key that the shop has: the
// planner has to take the index that was made for it.
func TestLookupsTakeTheirIndex(t *testing.T) {
	s := open(t, Options{})
	for _, q := range []struct {
		name, query, index string
		args               []any
	}{
		{"who is linked to a user", aliasesQuery, "identities_by_user (shop=? AND user_key=?)", []any{"", []byte{}}},
		{"whom a key is linked to", resolveQuery, "PRIMARY KEY (shop=? AND alias_key=?)", []any{"", []byte{}}},
	} {
		steps := planOf(t, s, q.query, q.args)
		if len(steps) != 1 || !strings.HasSuffix(steps[0], q.index) {
			t.Errorf("%s: got the plan %q, want one step by %s", q.name, steps, q.index)
		}
	}
}

// planOf is the steps by which SQLite answers a query.
func planOf(t *testing.T, s *Store, query string, args []any) (steps []string) {
	t.Helper()
	rows, err := s.read.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
