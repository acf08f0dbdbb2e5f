package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Backed says what a backup holds.
type Backed struct {
	Events   int64 // in all shops, those that were erased included
	Segments int
	Bytes    int64
}

// backupTries is how often a backup is begun anew because a sealed file was
// replaced meanwhile.
const backupTries = 3

// errReplaced says that a sealed file is not the one that the database names.
var errReplaced = errors.New("a sealed file was replaced meanwhile")

// Backup copies the store in opts.Dir to a new directory, beside the program that
// owns it and takes events meanwhile: what was acknowledged before the call is in
// it, and of what came later a beginning. Every sealed file is compared with its
// SHA-256, and the database is checked. The master key is not in it, without
// which it opens for nobody: keep that elsewhere. To restore, put the key and the
// newest erasures.log into a copy of it, and open that.
func Backup(ctx context.Context, opts Options, to string) (Backed, error) {
	s := &Store{opts: opts.withDefaults()}
	if _, err := os.Stat(s.path()); err != nil {
		return Backed{}, fmt.Errorf("back up: %w", err)
	}
	if _, err := os.Stat(to); err == nil {
		return Backed{}, fmt.Errorf("back up: %s exists: name a directory that does not", to)
	}
	for try := 1; ; try++ {
		b, err := s.backup(ctx, to+".tmp")
		if errors.Is(err, errReplaced) && try < backupTries {
			continue
		}
		if err == nil {
			err = os.Rename(to+".tmp", to)
		}
		if err == nil {
			err = syncDir(filepath.Dir(to))
		}
		if err != nil {
			return Backed{}, fmt.Errorf("back up: %w", errors.Join(explain(err), os.RemoveAll(to+".tmp")))
		}
		return b, nil
	}
}

func (s *Store) backup(ctx context.Context, to string) (b Backed, err error) {
	if err := errors.Join(os.RemoveAll(to), os.MkdirAll(to, 0o700)); err != nil {
		return b, err
	}
	live, err := s.connect(1, "")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, live.Close()) }()
	if err := checkSchema(ctx, live); err != nil {
		return b, err
	}
	in := &Store{opts: Options{Dir: to}}
	if _, err := live.ExecContext(ctx, `VACUUM INTO ?`, in.path()); err != nil { // one moment of it, in one transaction
		return b, err
	}
	if err := os.Chmod(in.path(), 0o600); err != nil {
		return b, err
	}
	db, err := in.connect(1, "")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	in.read = newReader(db)
	var check string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check`).Scan(&check); err != nil || check != "ok" {
		return b, errors.Join(fmt.Errorf("%w: the copy of the database: %s", ErrCorrupt, check), err)
	}
	if err := db.QueryRowContext(ctx, `SELECT coalesce(sum(next_seq - 1), 0) FROM shops`).Scan(&b.Events); err != nil {
		return b, err
	}
	shops, err := in.Shops(ctx)
	if err != nil {
		return b, err
	}
	for _, shop := range shops {
		all, err := in.Segments(ctx, shop)
		if err != nil {
			return b, err
		}
		for _, g := range all {
			if err := s.copySegment(g, filepath.Join(to, g.File)); err != nil {
				return b, err
			}
			b.Segments++
			b.Bytes += g.Bytes
		}
	}
	if _, err := copyFile(filepath.Join(s.opts.Dir, erasuresFile), filepath.Join(to, erasuresFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	info, err := os.Stat(in.path())
	if err != nil {
		return b, err
	}
	b.Bytes += info.Size()
	f, err := os.Open(in.path())
	if err != nil {
		return b, err
	}
	return b, errors.Join(f.Sync(), f.Close(), syncDir(to))
}

func (s *Store) copySegment(g Segment, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	sum, err := copyFile(filepath.Join(s.opts.Dir, g.File), to)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is gone", errReplaced, g.File)
	}
	if err == nil && sum != g.SHA256 {
		return fmt.Errorf("%w: %s has another SHA-256 than the database says", ErrCorrupt, g.File)
	}
	return err
}

// copyFile copies durably, and returns the SHA-256 of what it copied.
func copyFile(from, to string) (sum string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	h := sha256.New()
	err = writeDurable(to, func(f *os.File) error { _, err := io.Copy(io.MultiWriter(f, h), in); return err })
	return hex.EncodeToString(h.Sum(nil)), err
}
