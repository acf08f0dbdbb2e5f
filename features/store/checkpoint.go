package store

import (
	"context"
	"time"
)

// Commits go to the write-ahead log, and from there into the database. SQLite
// does that within the commit that makes the log long, which lets everybody
// wait for it. A connection of its own does it beside them, so that little is
// left for that commit: at half of that length, since a commit beside it takes
// longer than others, too.
const (
	checkpointLook = 50 * time.Millisecond
	checkpointAt   = 2000 // pages
)

// checkpoints moves commits into the database until ctx ends.
func (s *Store) checkpoints(ctx context.Context) {
	db, err := s.connect(1, "")
	if err != nil {
		s.log.Warn("commits go into the database as they come, and let others wait for it", "error", err)
		return
	}
	defer db.Close()
	tick := time.NewTicker(checkpointLook)
	defer tick.Stop()
	for before := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.writer.written.Load()
		if now-before < checkpointAt {
			continue
		}
		before = now
		if _, err := db.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`); err != nil && ctx.Err() == nil {
			s.log.Warn("commits stay in the write-ahead log", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(sealPause):
			}
		}
	}
}
