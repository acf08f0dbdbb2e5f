package privacy

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/auth"
)

// notes is an audit log that may refuse.
type notes struct {
	fails   bool
	entries []store.Audited
}

func (n *notes) Audit(ctx context.Context, shop features.ShopID, a store.Audited) error {
	return n.AuditAll(ctx, shop, []store.Audited{a})
}

func (n *notes) AuditAll(_ context.Context, _ features.ShopID, all []store.Audited) error {
	if n.fails {
		return errors.New("no space")
	}
	n.entries = append(n.entries, all...)
	return nil
}

// A person is written down once an hour for a caller and method; what could not
// be written waits; one who is no frontend rings the alarm.
func TestAskedOnceAnHour(t *testing.T) {
	log, now := &notes{fails: true}, time.Unix(1_700_000_000, 0)
	s := newAsked(&Auditor{Log: log, Logger: slog.New(slog.DiscardHandler), Alarm: NewAlarm(2, time.Hour, nil)}, nil)
	s.now = func() time.Time { return now }
	shop := auth.With(context.Background(), &auth.Caller{ID: "key:shop", Roles: []attunev1.Role{attunev1.Role_ROLE_FRONTEND}})
	desk := auth.With(context.Background(), &auth.Caller{ID: "key:desk", Roles: []attunev1.Role{attunev1.Role_ROLE_MARKETER}})
	note := func(ctx context.Context, n byte) { s.Note(ctx, features.DefaultShop, "m", features.UserKey{n}) }
	for n := range byte(6) {
		note(shop, 1+n/2)
	}
	note(desk, 1)
	s.write(context.Background())
	log.fails = false
	for n := range byte(3) {
		note(desk, 1+n)
	}
	s.write(context.Background())
	persons, alarms := map[string]int{}, 0
	for _, e := range log.entries {
		if strings.HasPrefix(e.Detail, "alarm: ") && e.Actor == "key:desk" {
			alarms++
			continue
		}
		persons[e.Actor] += len(strings.Fields(e.Detail)) - 1
	}
	if persons["key:shop"] != 3 || persons["key:desk"] != 3 || alarms != 1 {
		t.Errorf("got %v persons and %d alarms, want three for each caller and one for the desk", persons, alarms)
	}
	before := len(log.entries)
	note(shop, 1)
	s.write(context.Background())
	if len(log.entries) != before {
		t.Errorf("within the hour: got %d entries more, want none", len(log.entries)-before)
	}
	now = now.Add(askedOnce)
	s.write(context.Background())
	note(shop, 1)
	close(s.done)
	if err := s.Close(context.Background()); err != nil || len(log.entries) != before+1 {
		t.Errorf("after the hour: got %d entries more, %v, want one", len(log.entries)-before, err)
	}
}
