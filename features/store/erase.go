package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// Certificate says what an erasure has taken out, place by place.
type Certificate struct {
	Shop   features.ShopID    `json:"shop"`
	User   features.UserKey   `json:"-"`
	Keys   []features.UserKey `json:"-"` // the person's, with the sessions and users linked to it
	Time   time.Time          `json:"time"`
	Places []Place            `json:"places"`

	until time.Time // what is from later stays
}

// Place is one place that was cleaned.
type Place struct {
	Name    string `json:"name"`
	Removed int64  `json:"removed"` // rows, events or keys
}

// erasuresFile names who was erased, a line each, beside the database: kept
// when a backup is restored over the directory, it keeps the person away.
const erasuresFile = "erasures.log"

type erasure struct {
	Shop features.ShopID `json:"shop"`
	Keys []string        `json:"keys"` // the person's own first
	Time int64           `json:"time"` // Unix milliseconds
}

// Erase takes a person out of every place of the store: the data key is
// destroyed, what the person told the shop, their answers, refused rows, links
// and surrogates are deleted, and their events are blanked in the log, sealed
// or not; places in the log stay counted. It is done when it returns, and taken
// up again at the next start when the program ends within. Events received
// later are not touched. A person who is not known gets a certificate too.
//
// From before begun is called until Erase returns, History and Opinions know
// nothing of the keys that begun is given: who drops there what is remembered of
// them serves nothing of them any more, however long the erasure takes.
func (s *Store) Erase(ctx context.Context, shop features.ShopID, key features.UserKey, begun ...func([]features.UserKey)) (*Certificate, error) {
	if err := s.writable(); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	if key.IsZero() {
		return nil, errors.New("erase: no person is named")
	}
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	aliases, err := s.Aliases(ctx, shop, key)
	if err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	e := erasure{Shop: shop, Time: s.now().UnixMilli()}
	keys := append([]features.UserKey{key}, aliases...)
	for _, k := range keys {
		e.Keys = append(e.Keys, k.String())
	}
	if err := s.noteErasure(e); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	for _, k := range keys {
		s.going.Store(goer{shop, k}, true)
		defer s.going.Delete(goer{shop, k})
	}
	for _, f := range begun {
		f(keys)
	}
	c, err := s.erase(ctx, e, endOfTime)
	if err != nil {
		return nil, fmt.Errorf("erase: it is taken up again at the next start: %w", err)
	}
	return c, nil
}

// goer is somebody who is being erased.
type goer struct {
	shop features.ShopID
	key  features.UserKey
}

// noteErasure writes down who is to be erased, durable when it returns.
func (s *Store) noteErasure(e erasure) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	s.erasing.Lock()
	defer s.erasing.Unlock()
	f, err := os.OpenFile(filepath.Join(s.opts.Dir, erasuresFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close(), syncDir(s.opts.Dir))
}

// resumeErasures does what was noted and is not certified: the program ended
// within, or a backup from before has been restored.
func (s *Store) resumeErasures(ctx context.Context) error {
	f, err := os.Open(filepath.Join(s.opts.Dir, erasuresFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var e erasure
		if err := json.Unmarshal(in.Bytes(), &e); err != nil || len(e.Keys) == 0 {
			s.log.Warn("a line of the list of erased persons cannot be read; it was not acknowledged", "file", erasuresFile)
			continue
		}
		key, err := features.ParseUserKey(e.Keys[0])
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, erasuresFile, err)
		}
		var done bool
		err = s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM tombstones WHERE shop = ? AND user_key = ? AND time >= ? AND certificate <> '')`,
			string(e.Shop), key[:], e.Time).Scan(&done)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		s.log.Info("erasing a person who came back or was not done with", "shop", string(e.Shop), "since", time.UnixMilli(e.Time).UTC())
		if _, err := s.ensureShop(ctx, e.Shop); err != nil {
			return err
		}
		if _, err := s.erase(ctx, e, time.UnixMilli(e.Time)); err != nil {
			return err
		}
	}
	return in.Err()
}

// endOfTime is later than anything that is stored.
var endOfTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// erase does what was noted, of all that is not later than until. Each step can
// be done again.
func (s *Store) erase(ctx context.Context, e erasure, until time.Time) (*Certificate, error) {
	ctx = context.WithoutCancel(ctx)
	c := &Certificate{Shop: e.Shop, Time: time.UnixMilli(e.Time).UTC(), until: until}
	for _, text := range e.Keys {
		k, err := features.ParseUserKey(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, erasuresFile, err)
		}
		c.Keys = append(c.Keys, k)
	}
	c.User = c.Keys[0]
	s.sealing.Lock() // nothing is sealed that is being cleaned
	defer s.sealing.Unlock()
	if err := s.eraseRows(ctx, c); err != nil {
		return nil, err
	}
	if err := s.opts.seam("rows erased"); err != nil {
		return nil, err
	}
	l, err := s.knownShop(ctx, e.Shop)
	if err != nil {
		return nil, err
	}
	pages, err := l.erasePages(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.opts.seam("pages erased"); err != nil {
		return nil, err
	}
	sealed, err := l.eraseSegments(ctx, c)
	if err != nil {
		return nil, err
	}
	c.Places = append(c.Places, Place{"events", pages}, Place{"sealed events", sealed})
	if err := s.scrub(ctx); err != nil {
		return nil, err
	}
	c.Places = append(c.Places, Place{"write-ahead log", 0})
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return c, s.writer.do(ctx, func(tx *transaction) error {
		_, err := tx.exec(`INSERT INTO tombstones (shop, user_key, time, certificate) VALUES (?, ?, ?, ?)
			ON CONFLICT (shop, user_key) DO UPDATE SET time = excluded.time, certificate = excluded.certificate`,
			string(c.Shop), c.User[:], e.Time, string(text))
		return err
	})
}

// erasedRows are the rows of a person, by key, newest time and time of the
// erasure.
var erasedRows = []struct{ place, query string }{
	{"users", `DELETE FROM users WHERE shop = ?1 AND user_key = ?2 AND updated <= ?3`},
	{"answers", `DELETE FROM served WHERE shop = ?1 AND (user_key = ?2 OR session_key = ?2) AND time <= ?3`},
	{"refused rows", `DELETE FROM dead_letters WHERE shop = ?1 AND user_key = ?2 AND received <= ?3`},
	{"surrogates of releases", `DELETE FROM surrogates WHERE shop = ?1 AND user_key = ?2`},
	{"links of sessions", `DELETE FROM identities WHERE shop = ?1 AND (user_key = ?2 OR alias_key = ?2) AND time <= ?3`},
	{"risk flags", `DELETE FROM risk_flags WHERE shop = ?1 AND user_key = ?2 AND first <= ?3`},
	{"data keys", `UPDATE data_keys SET wrapped = x'', destroyed = ?4 WHERE shop = ?1 AND user_key = ?2 AND length(wrapped) > 0 AND created <= ?3`},
}

func (s *Store) eraseRows(ctx context.Context, c *Certificate) error {
	removed := make([]int64, len(erasedRows))
	err := s.writer.doThen(ctx, func(tx *transaction) error {
		clear(removed)
		for _, k := range c.Keys {
			for i := range erasedRows {
				r, err := tx.exec(erasedRows[i].query, string(c.Shop), k[:], c.until.UnixMilli(), c.Time.UnixMilli())
				if err != nil {
					return err
				}
				n, err := r.RowsAffected()
				if err != nil {
					return err
				}
				removed[i] += n
			}
		}
		return nil
	}, func() {
		for _, k := range c.Keys {
			s.keys.forget(c.Shop, k)
		}
	})
	for i := range erasedRows {
		c.Places = append(c.Places, Place{erasedRows[i].place, removed[i]})
	}
	return err
}

// of reports whether an event is the person's and to be erased.
func (c *Certificate) of(e *stored) bool {
	return e.Type != features.EventUnknown && slices.Contains(c.Keys, e.Subject()) && !e.Received.After(c.until)
}

// blank is what stands where an erased event stood.
func blank(shop features.ShopID, seq int64) stored {
	return stored{Event: features.Event{Shop: shop, Seq: seq, Time: time.UnixMilli(0).UTC(), Received: time.UnixMilli(0).UTC()}}
}

// pagesErasedAtOnce is how many pages one transaction cleans.
const pagesErasedAtOnce = 64

// erasePages blanks the person's events in the pages of the log.
func (l *shopLog) erasePages(ctx context.Context, c *Certificate) (n int64, err error) {
	l.mu.RLock()
	var seqs []int64
	for _, k := range c.Keys {
		for _, g := range l.tail {
			seqs = g.newest(k, l.tailFrom, 1<<62, seqs)
		}
	}
	l.mu.RUnlock()
	slices.Sort(seqs)
	return l.blankPages(ctx, seqs, c.of)
}

// blankPages blanks what goes in the pages that hold the ascending numbers.
func (l *shopLog) blankPages(ctx context.Context, seqs []int64, goes func(*stored) bool) (n int64, err error) {
	for len(seqs) > 0 {
		var done int64
		err := l.store.writer.doThen(ctx, func(tx *transaction) (err error) {
			done = 0
			for range pagesErasedAtOnce {
				if len(seqs) == 0 {
					return nil
				}
				last, k, err := l.erasePage(tx, seqs[0], goes)
				if err != nil {
					return err
				}
				done += k
				for len(seqs) > 0 && seqs[0] <= last {
					seqs = seqs[1:]
				}
			}
			return nil
		}, nil)
		if err != nil {
			return n, err
		}
		n += done
	}
	return n, nil
}

// erasePage blanks what goes in the page that holds an event.
func (l *shopLog) erasePage(tx *transaction, seq int64, goes func(*stored) bool) (last, n int64, err error) {
	var p page
	err = tx.get([]any{&p.first, &p.last, &p.body}, `SELECT first_seq, last_seq, body FROM pages
		WHERE shop = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT 1`, string(l.shop), seq)
	if errors.Is(err, sql.ErrNoRows) || err == nil && p.last < seq {
		return seq, 0, fmt.Errorf("%w: event %d of shop %s is in no page", ErrCorrupt, seq, l.shop)
	}
	if err != nil {
		return seq, 0, err
	}
	var r pageReader
	var w pageWriter
	var e stored
	if err := r.open(l.shop, p.first, p.body); err != nil {
		return seq, 0, err
	}
	w.reset(p.first)
	for r.next(&e) {
		if goes(&e) {
			e = blank(l.shop, e.Seq)
			n++
		}
		w.add(&e)
	}
	if err := r.err(); err != nil || n == 0 {
		return p.last, 0, err
	}
	_, err = tx.exec(`UPDATE pages SET body = ? WHERE shop = ? AND first_seq = ?`, w.bytes(), string(l.shop), p.first)
	return p.last, n, err
}

// eraseSegments writes the segments that hold events of the person anew,
// without them. As in sealing, a file is made durable first and takes the place
// of the other in one transaction.
func (l *shopLog) eraseSegments(ctx context.Context, c *Certificate) (n int64, err error) {
	l.mu.RLock()
	segments := slices.Clone(l.segments)
	l.mu.RUnlock()
	for _, g := range segments {
		holds := false
		for _, k := range c.Keys {
			rows, err := g.index.newest(k, 1)
			if err != nil {
				return n, fmt.Errorf("index of %s: %w", g.File, err)
			}
			holds = holds || len(rows) > 0
		}
		if !holds {
			continue
		}
		removed, err := l.eraseSegment(ctx, g.Segment, c.of, c.Time)
		n += removed
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// eraseSegment writes a segment anew without what goes; stamp tells it from the
// one before.
func (l *shopLog) eraseSegment(ctx context.Context, old Segment, goes func(*stored) bool, stamp time.Time) (n int64, err error) {
	g := Segment{First: old.First, Last: old.Last, Sealed: old.Sealed, File: filepath.ToSlash(filepath.Join("segments", string(l.shop),
		fmt.Sprintf("%012d-%012d-%d.parquet", old.First, old.Last, stamp.UnixMilli())))}
	if g.File == old.File {
		return 0, nil // done before the program ended
	}
	path := filepath.Join(l.store.opts.Dir, old.File)
	err = l.writeSegment(&g, func(f func(*stored) error) error {
		return l.readSegment(ctx, path, func(e *stored) error {
			if !goes(e) {
				return f(e)
			}
			b := blank(l.shop, e.Seq)
			n++
			return f(&b)
		})
	})
	if err != nil {
		return 0, err
	}
	if err := l.store.opts.seam("segment rewritten"); err != nil {
		return 0, err
	}
	err = l.store.writer.do(ctx, func(tx *transaction) error {
		_, err := tx.exec(`UPDATE segments SET file = ?, bytes = ?, sha256 = ?, newest = ? WHERE shop = ? AND first_seq = ?`,
			g.File, g.Bytes, g.SHA256, old.Newest.UnixMilli(), string(l.shop), g.First)
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := l.refresh(ctx); err != nil {
		return 0, err
	}
	return n, errors.Join(os.Remove(sidecarPath(path)), os.Remove(path), syncDir(filepath.Dir(path)))
}

// scrubTries bounds the wait for readers that still look at the past.
const scrubTries = 50

// scrub empties the write-ahead log, where the past stands until it is
// overwritten. What was deleted in the database itself is overwritten at once.
func (s *Store) scrub(ctx context.Context) error {
	db, err := s.connect(1, "")
	if err != nil {
		return err
	}
	defer db.Close()
	for range scrubTries {
		var busy, frames, moved int
		if err := db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved); err != nil {
			return fmt.Errorf("empty the write-ahead log: %w", err)
		}
		if busy == 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the write-ahead log could not be emptied: a reader holds it")
}
