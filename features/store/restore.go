package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Restoring says what a store is restored from.
type Restoring struct {
	Backup   string // the directory that Backup made
	Key      string // file of the master key; "": opts.Keeper has it
	Erasures string // newest list of erased persons; "": that of the backup
}

// Restore makes a store in opts.Dir, which must not exist, of a backup: every
// sealed file is compared with its SHA-256 and the database is checked, the
// schema is brought up to date, the master key is tried on every shop, and
// whoever was erased since is erased again. When any of it fails nothing is there.
// A server may run on another directory meanwhile, that of the backup too.
func Restore(ctx context.Context, opts Options, from Restoring) (Backed, error) {
	b, err := restore(ctx, opts, from)
	if err != nil {
		return Backed{}, fmt.Errorf("restore: %w", explain(err))
	}
	return b, nil
}

func restore(ctx context.Context, opts Options, from Restoring) (b Backed, err error) {
	if _, err := os.Stat(opts.Dir); err == nil {
		return b, fmt.Errorf("%s exists: name a directory that does not", opts.Dir)
	}
	source := &Store{opts: Options{Dir: from.Backup}}
	if _, err := os.Stat(source.path()); err != nil {
		return b, err
	}
	making := opts.withDefaults()
	making.Dir = opts.Dir + ".tmp"
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(making.Dir))
		}
	}()
	if b, err = source.backup(ctx, making.Dir); err != nil {
		return b, err
	}
	for _, f := range [][2]string{{from.Key, "master.key"}, {from.Erasures, erasuresFile}} {
		if f[0] == "" {
			continue
		}
		if _, err := copyFile(f[0], filepath.Join(making.Dir, f[1])); err != nil {
			return b, err
		}
	}
	if err := tryOut(ctx, making); err != nil {
		return b, err
	}
	if err := os.Rename(making.Dir, opts.Dir); err != nil {
		return b, err
	}
	return b, syncDir(filepath.Dir(opts.Dir))
}

// tryOut opens a restored store, which erases whom it must, and reads the secret
// of every shop by the master key.
func tryOut(ctx context.Context, opts Options) (err error) {
	s, err := Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	shops, err := s.Shops(ctx)
	if err != nil {
		return err
	}
	for _, shop := range shops {
		if _, err := s.Pseudonyms(ctx, shop); err != nil {
			return err
		}
	}
	return nil
}
