package app

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/live"
)

// Audit are the commands on the audit log, which work beside a running server.
type Audit struct {
	List   AuditList   `cmd:"" help:"Print a shop's audit log, oldest first, as JSON lines."`
	Verify AuditVerify `cmd:"" help:"Check that the audit log is whole, shop by shop."`
}

// AuditList prints the log.
type AuditList struct {
	Shop string `help:"The shop." default:"default"`
}

// AuditVerify checks the log.
type AuditVerify struct{}

func readStore(ctx context.Context, c *Config, f func(*store.Store) error) (err error) {
	st, err := store.OpenReader(ctx, store.Options{Dir: c.Data, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return explain(c.Data, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return f(st)
}

// Run prints the log to w, and fails where it does not hold.
func (a *AuditList) Run(ctx context.Context, c *Config, w io.Writer) error {
	return readStore(ctx, c, func(st *store.Store) error {
		out := json.NewEncoder(w)
		return st.ScanAudit(ctx, features.ShopID(a.Shop), func(e *store.Audited) error {
			return out.Encode(map[string]any{
				"id": e.ID, "time": e.Time, "actor": e.Actor, "method": e.Method, "subject": e.Subject, "detail": e.Detail, "hash": hex.EncodeToString(e.Hash),
			})
		})
	})
}

// Run checks the log and prints each shop's last hash, to be kept elsewhere.
func (*AuditVerify) Run(ctx context.Context, c *Config, w io.Writer) error {
	return readStore(ctx, c, func(st *store.Store) error {
		shops, err := st.AuditedShops(ctx)
		if err != nil {
			return err
		}
		for _, shop := range shops {
			var last store.Audited
			if err := st.ScanAudit(ctx, shop, func(e *store.Audited) error { last = *e; return nil }); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s: %d entries hold, the last is %x\n", shop, last.ID, last.Hash); err != nil {
				return err
			}
		}
		return nil
	})
}

// refused writes down that a release was refused, once as long as it is the
// same release for the same reason: it is tried again and again.
func (s *Server) refused(e live.Event) {
	switch {
	case e.What == live.EventSwapped:
		s.refusals.Delete(e.Shop)
	case e.What == live.EventRefused && e.Err != nil && !errors.Is(e.Err, context.Canceled):
		why := e.Version + ": " + e.Err.Error()
		if last, ok := s.refusals.Swap(e.Shop, why); ok && last == why {
			return
		}
		err := s.store.Audit(context.Background(), e.Shop, store.Audited{Actor: "server", Method: "refuse release", Subject: e.Version, Detail: e.Err.Error()})
		if err != nil {
			s.log.Error("the audit log lacks that a release was refused", "shop", e.Shop, "version", e.Version, "error", err)
		}
	}
}
