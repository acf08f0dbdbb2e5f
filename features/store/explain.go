package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// full marks an error of a disk without room, so that callers can say so.
func full(err error) error {
	if !errors.Is(err, ErrFull) && (code(err) == sqlite3.SQLITE_FULL || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// explain says what to do about a directory that cannot be opened.
func explain(err error) error {
	switch {
	case code(err) == sqlite3.SQLITE_READONLY, code(err) == sqlite3.SQLITE_CANTOPEN, errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("it cannot be written to: give this user the right to, or choose another directory: %w", err)
	}
	return full(damaged(err))
}

// damaged marks an error of a database whose bytes are not what was written.
func damaged(err error) error {
	if c := code(err); c == sqlite3.SQLITE_NOTADB || c == sqlite3.SQLITE_CORRUPT {
		return fmt.Errorf("%w: the database is damaged: restore a backup over it: %w", ErrCorrupt, err)
	}
	return err
}

// code is SQLite's primary result code; 0 when the error is not SQLite's.
func code(err error) int {
	var se *sqlite.Error
	if errors.As(err, &se) {
		return se.Code() & 0xff
	}
	return 0
}
