package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

func provider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, dir,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// migrate brings the schema up to date, checks the database that it changed, and
// refuses a schema that is newer than the newest this program knows.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if err := compare(current, target); err != nil {
		return err
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	if current == 0 || len(done) == 0 {
		return nil
	}
	for _, r := range done {
		log.Info("schema migrated", "to", r.Source.Version, "took", r.Duration)
	}
	var check string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&check); err != nil || check != "ok" {
		return errors.Join(fmt.Errorf("%w: the database after it was migrated from version %d to %d: %s", ErrCorrupt, current, target, check), err)
	}
	return nil
}

// checkSchema refuses a schema that is not the one this program reads.
func checkSchema(ctx context.Context, db *sql.DB) error {
	var current sql.NullInt64
	err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`).Scan(&current)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSchema, err)
	}
	target, err := newestSchema()
	if err != nil {
		return err
	}
	if current.Int64 < target {
		return fmt.Errorf("%w: it has version %d and this program reads %d: start the server of this version once, so that it migrates",
			ErrSchema, current.Int64, target)
	}
	return compare(current.Int64, target)
}

func compare(current, target int64) error {
	if current > target {
		return fmt.Errorf("%w: it has version %d and this program knows up to %d: use the program that wrote it, or a newer one",
			ErrSchema, current, target)
	}
	return nil
}

func newestSchema() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		newest = max(newest, v)
	}
	if newest == 0 {
		return 0, errors.New("no migrations in the program")
	}
	return newest, nil
}
