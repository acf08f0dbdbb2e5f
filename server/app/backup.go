package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/attune-rec/attune/features/store"
)

// Backup is the command that copies the data directory beside a running server.
type Backup struct {
	To string `arg:"" help:"Directory to make; it must not exist." type:"path"`
}

// Run copies and says what to w.
func (b *Backup) Run(ctx context.Context, c *Config, w io.Writer) error {
	// Who copies everything is written down; a disk that is full keeps nobody from
	// making a backup.
	if err := noted(ctx, c, "backup", b.To); err != nil {
		if _, err := fmt.Fprintf(w, "The audit log lacks this backup: %v\n", err); err != nil {
			return err
		}
	}
	made, err := store.Backup(ctx, store.Options{Dir: c.Data, Logger: slog.New(slog.DiscardHandler)}, b.To)
	if err != nil {
		return explain(b.To, err)
	}
	if err := copyReleases(filepath.Join(c.Data, "releases"), filepath.Join(b.To, "releases")); err != nil {
		return explain(b.To, fmt.Errorf("back up the releases: %w", err))
	}
	_, err = fmt.Fprintf(w, "%d events and %d sealed files are in %s, without the master key: keep a copy of %s elsewhere, and of erasures.log. To restore: server restore %s --key MASTER_KEY --erasures ERASURES_LOG --data NEW_DIRECTORY\n",
		made.Events, made.Segments, b.To, filepath.Join(c.Data, "master.key"), b.To)
	return err
}

// Restore is the command that makes a data directory of a backup.
type Restore struct {
	From     string `arg:"" help:"Directory that 'server backup' made." type:"existingdir"`
	Key      string `help:"The master key, which is in no backup." type:"existingfile" required:"" placeholder:"FILE"`
	Erasures string `help:"The newest erasures.log there is, so that nobody comes back who was erased since the backup." type:"existingfile" placeholder:"FILE"`
}

// Run makes --data, which must not exist, and says what is in it.
func (r *Restore) Run(ctx context.Context, c *Config, w io.Writer) error {
	log := slog.New(slog.DiscardHandler)
	made, err := store.Restore(ctx, store.Options{Dir: c.Data, Logger: log}, store.Restoring{Backup: r.From, Key: r.Key, Erasures: r.Erasures})
	if err != nil {
		return explain(c.Data, err)
	}
	if err := copyReleases(filepath.Join(r.From, "releases"), filepath.Join(c.Data, "releases")); err != nil {
		return explain(c.Data, fmt.Errorf("restore the releases: %w", err))
	}
	if err := noted(ctx, c, "restore", r.From); err != nil {
		return explain(c.Data, err)
	}
	_, err = fmt.Fprintf(w, "%d events and %d sealed files are in %s: start the server with --data %s\n", made.Events, made.Segments, c.Data, c.Data)
	return err
}

// copyReleases copies the folder of releases: what is served of each shop first,
// so that every release it names is there when releases are copied.
func copyReleases(from, to string) error {
	shops, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // they are elsewhere, or there is none
	}
	if err != nil {
		return err
	}
	for _, shop := range shops {
		for _, part := range []string{"serving", "releases"} {
			source := filepath.Join(from, shop.Name(), part)
			if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err := os.CopyFS(filepath.Join(to, shop.Name(), part), os.DirFS(source)); err != nil {
				return err
			}
		}
	}
	return nil
}
