package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/attune-rec/attune/features"
	"gocloud.dev/secrets"
	_ "modernc.org/sqlite" // the driver
)

// Options says where a store lives and how it behaves. Only Dir is needed.
type Options struct {
	Dir          string           // data directory, made when it does not exist
	Keeper       *secrets.Keeper  // wraps data keys; nil: a local key in Dir/master.key
	Clock        func() time.Time // nil: time.Now
	Logger       *slog.Logger     // nil: slog.Default
	DedupeWindow time.Duration    // how long an event id is remembered at least; 0: a year
	SegmentRows  int              // events a Parquet segment holds; 0: 524,288
	SealAt       int              // events of a shop in SQL at which its oldest are sealed; 0: twice SegmentRows; negative: only by Seal
	Readers      int              // connections that read at once; 0: 8

	seam func(point string) error // tests fail or stop here; nil outside them
}

// Store is a shop's data in SQLite, with the older part of the log in Parquet.
// It implements Log, Catalogue, Users, Identities, Journal and Morgue, and is
// safe for concurrent use.
type Store struct {
	opts   Options
	log    *slog.Logger
	read   *reader
	write  *sql.DB // nil: read-only
	owner  *sql.DB // holds the data directory; nil: read-only
	keys   *keyring
	writer *writer // nil: read-only

	mu        sync.Mutex
	shops     map[features.ShopID]*shopLog
	freshRead map[features.ShopID]freshRead // where the store is only read

	closing sync.Once
	closed  error

	background sync.WaitGroup
	stop       context.CancelFunc
	sealQueue  chan *shopLog
	sealing    sync.Mutex // one segment is made at a time
	erasing    sync.Mutex // the list of erased persons is written
	going      sync.Map   // goer -> true: who is being erased
	needs      sync.Map   // features.ShopID -> Needs
}

var (
	_ Log        = (*Store)(nil)
	_ Catalogue  = (*Store)(nil)
	_ Users      = (*Store)(nil)
	_ Identities = (*Store)(nil)
	_ Journal    = (*Store)(nil)
	_ Morgue     = (*Store)(nil)
)

// Open opens the store in opts.Dir for reading and writing, making it or
// bringing its schema up to date first. One store at a time may do so: ErrInUse
// for the next. ErrSchema when a newer program has written it.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if opts.Dir == "" {
		return nil, errors.New("open store: no data directory given")
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store %s: %w", opts.Dir, explain(err))
	}
	s := &Store{opts: opts, log: opts.Logger, shops: map[features.ShopID]*shopLog{}, stop: func() {}, sealQueue: make(chan *shopLog, 16)}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open store %s: %w", opts.Dir, explain(err))
	}
	return s, nil
}

// OpenReader opens the store in opts.Dir for reading beside the program that
// owns it. What would change it gives ErrReadOnly.
func OpenReader(ctx context.Context, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	s := &Store{opts: opts, log: opts.Logger, shops: map[features.ShopID]*shopLog{}, stop: func() {}, sealQueue: make(chan *shopLog, 16)}
	if err := s.openReader(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open store %s for reading: %w", opts.Dir, damaged(err))
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.DedupeWindow <= 0 {
		o.DedupeWindow = 365 * 24 * time.Hour
	}
	if o.SegmentRows <= 0 {
		o.SegmentRows = 512 << 10
	}
	if o.SealAt == 0 {
		o.SealAt = 2 * o.SegmentRows
	}
	if o.Readers <= 0 {
		o.Readers = 8
	}
	if o.seam == nil {
		o.seam = func(string) error { return nil }
	}
	return o
}

func (s *Store) open(ctx context.Context) error {
	var err error
	if s.owner, err = own(ctx, s.opts.Dir); err != nil {
		return err
	}
	if s.write, err = s.connect(1, writerCache); err != nil {
		return err
	}
	if err := migrate(ctx, s.write, s.log); err != nil {
		return err
	}
	if s.opts.Keeper == nil {
		if err := s.settleKeys(ctx); err != nil {
			return err
		}
	}
	keeper, err := s.keeper(true)
	if err != nil {
		return err
	}
	if err := s.connectReaders(); err != nil {
		return err
	}
	if s.writer, err = newWriter(ctx, s.write); err != nil {
		return err
	}
	if s.keys, err = newKeyring(s, keeper); err != nil {
		return err
	}
	if err := s.sweep(ctx); err != nil {
		return err
	}
	if err := s.loadAll(ctx); err != nil {
		return err
	}
	for _, l := range s.shops {
		if err := l.dropSealed(ctx); err != nil {
			return err
		}
	}
	if err := s.resumeErasures(ctx); err != nil {
		return err
	}
	s.startBackground()
	return nil
}

func (s *Store) openReader(ctx context.Context) error {
	if _, err := os.Stat(s.path()); err != nil {
		return err
	}
	if err := s.connectReaders(); err != nil {
		return err
	}
	if err := checkSchema(ctx, s.read.db); err != nil {
		return err
	}
	keeper, err := s.keeper(false)
	if err != nil {
		return err
	}
	s.keys, err = newKeyring(s, keeper)
	return err
}

// writerCache keeps those pages of the links' table and index in memory that
// links at random places of them change: 64 MiB.
const writerCache = "&_pragma=cache_size(-65536)"

func (s *Store) path() string { return filepath.Join(s.opts.Dir, "attune.db") }

func (s *Store) connect(conns int, extra string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", fileURI(s.path())+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"+
		"&_pragma=secure_delete(true)&_pragma=synchronous(FULL)&_pragma=foreign_keys(true)&_pragma=cache_size(-16384)&_pragma=wal_autocheckpoint(4000)&_pragma=temp_store(MEMORY)"+extra)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func (s *Store) connectReaders() error {
	db, err := s.connect(s.opts.Readers, "&_pragma=query_only(true)")
	if err == nil {
		s.read = newReader(db)
	}
	return err
}

// Close waits for what was handed over, then gives the data directory free. A
// second call does nothing. A Keeper of the Options is the caller's to close.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Store) close() error {
	s.stop()
	s.background.Wait()
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	s.mu.Lock()
	for _, l := range s.shops {
		l.close()
	}
	s.shops = map[features.ShopID]*shopLog{}
	s.mu.Unlock()
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	for _, db := range []*sql.DB{s.write, s.owner} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.keys != nil && s.opts.Keeper == nil {
		errs = append(errs, s.keys.close())
	}
	return errors.Join(errs...)
}

// Shops lists the shops the store has something of, in order.
func (s *Store) Shops(ctx context.Context) ([]features.ShopID, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT shop FROM shops ORDER BY shop`)
	if err != nil {
		return nil, fmt.Errorf("list shops: %w", err)
	}
	defer rows.Close()
	var all []features.ShopID
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("list shops: %w", err)
		}
		all = append(all, features.ShopID(id))
	}
	return all, rows.Err()
}

func (s *Store) now() time.Time { return s.opts.Clock().UTC().Truncate(time.Millisecond) }

func (s *Store) writable() error {
	if s.writer == nil {
		return ErrReadOnly
	}
	return nil
}
