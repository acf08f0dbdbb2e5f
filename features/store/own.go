package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// own takes the data directory for one writer, until the database it returns
// is closed or the process ends in whatever way. The lock is that of SQLite on
// a file of its own, so that it works wherever SQLite does and never stands in
// the way of readers.
func own(ctx context.Context, dir string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", fileURI(filepath.Join(dir, "owner.db"))+"?_pragma=busy_timeout(0)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	if _, err := db.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		db.Close()
		if strings.Contains(err.Error(), "locked") || strings.Contains(err.Error(), "SQLITE_BUSY") {
			return nil, fmt.Errorf("%w: stop the other program, or give this one another directory", ErrInUse)
		}
		return nil, err
	}
	return db, nil
}

// fileURI is the SQLite URI of a path, whatever characters it has.
func fileURI(path string) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()}).String()
}
