package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// Every change of the audit log is found.
func TestAuditTellsTampering(t *testing.T) {
	ctx := context.Background()
	for _, change := range []string{
		``, `UPDATE audit SET actor = 'x' WHERE id = 2`, `UPDATE audit SET time = time + 1 WHERE id = 5`, `DELETE FROM audit WHERE id = 3`,
		`DELETE FROM audit WHERE id = 1`, `UPDATE audit SET subject = detail, detail = subject WHERE id = 4`,
		`UPDATE audit SET id = CASE id WHEN 2 THEN 30 WHEN 3 THEN 2 ELSE id END WHERE id IN (2, 3)`, `UPDATE audit SET hash = zeroblob(32) WHERE id = 1`,
	} {
		s := open(t, Options{})
		for n := range 5 {
			if err := s.Audit(ctx, shop, Audited{Actor: "key:a", Method: "/m", Subject: fmt.Sprint(n), Detail: "d"}); err != nil {
				t.Fatal(err)
			}
		}
		seen := 0
		read := func() error { seen = 0; return s.ScanAudit(ctx, shop, func(*Audited) error { seen++; return nil }) }
		if err := read(); err != nil || seen != 5 {
			t.Fatalf("got %d entries and %v, want 5", seen, err)
		}
		if change == "" {
			continue
		}
		if err := s.writer.do(ctx, func(tx *transaction) error { _, err := tx.exec(change); return err }); err != nil {
			t.Fatal(err)
		}
		if err := read(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", change, err)
		}
	}
}
