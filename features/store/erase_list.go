package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/attune-rec/attune/features"
)

// erasuresFile names who was erased, a line each, beside the database: kept
// when a backup is restored over the directory, it keeps the person away.
const erasuresFile = "erasures.log"

type erasure struct {
	Shop features.ShopID `json:"shop"`
	Keys []string        `json:"keys"` // the person's own first
	Time int64           `json:"time"` // Unix milliseconds
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
