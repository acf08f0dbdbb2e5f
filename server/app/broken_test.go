package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/breaker"
)

// sick is a store that does what a test says.
type sick struct {
	do func(ctx context.Context) error
}

func (s *sick) History(ctx context.Context, _ features.ShopID, _ features.UserKey, _ int) ([]features.Event, error) {
	return nil, s.do(ctx)
}

func (s *sick) Aliases(ctx context.Context, _ features.ShopID, _ features.UserKey) ([]features.UserKey, error) {
	return nil, s.do(ctx)
}

func (s *sick) Opinions(ctx context.Context, _ features.ShopID, _ features.UserKey, _ int) ([]features.Event, error) {
	return nil, s.do(ctx)
}

func (s *sick) ConsentIn(ctx context.Context, _ features.ShopID, _ features.UserKey, _ string) (features.Purposes, error) {
	return features.AllPurposes, s.do(ctx)
}

// near is a context whose deadline is soon and which never ends: what ends before
// it ended by itself.
type near struct {
	context.Context
	until time.Time
}

func (n near) Deadline() (time.Time, bool) { return n.until, true }

// A store that hangs is given up on before the caller's time is over, then left
// alone for a while, and read again when it is well.
func TestStoreBreaker(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	calls := 0
	hang := func(ctx context.Context) error { calls++; <-ctx.Done(); return ctx.Err() }
	st := &sick{hang}
	b := &broken{store: st, breaker: breaker.New(breaker.Options{Clock: func() time.Time { return now }})}
	read := func(limit time.Duration) error {
		_, err := b.ConsentIn(near{context.Background(), time.Now().Add(limit)}, "default", features.UserKey{1}, "")
		return err
	}
	for range 5 {
		if err := read(20 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want a deadline", err)
		}
		now = now.Add(100 * time.Millisecond)
	}
	for range 10 {
		if err := read(time.Hour); !errors.Is(err, breaker.ErrOpen) {
			t.Fatalf("got %v after five failures, want ErrOpen", err)
		}
	}
	if calls != 5 {
		t.Errorf("got %d reads, want 5", calls)
	}
	st.do = func(context.Context) error { return nil }
	now = now.Add(time.Second)
	for _, read := range []func() error{
		func() error { _, err := b.History(context.Background(), "", features.UserKey{}, 1); return err },
		func() error { _, err := b.Aliases(context.Background(), "", features.UserKey{}); return err },
		func() error { _, err := b.Opinions(context.Background(), "", features.UserKey{}, 1); return err },
	} {
		if err := read(); err != nil {
			t.Errorf("when it is well again: got %v", err)
		}
	}
}

// Callers who leave do not open it.
func TestStoreBreakerIgnoresThoseWhoLeave(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := &broken{store: &sick{func(ctx context.Context) error { return ctx.Err() }}, breaker: breaker.New(breaker.Options{})}
	for range 20 {
		if _, err := b.ConsentIn(ctx, "default", features.UserKey{1}, ""); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want context.Canceled", err)
		}
	}
}

func TestWrongMilvusAndCareFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--milvus-address", "m:19530", "--milvus-username", "root"},
		{"--milvus-address", "m:19530", "--milvus-ca", "absent.pem"},
		{"--milvus-address", "m:19530", "--milvus-from", "-1"},
		{"--milvus-consistency", "some"},
		{"--rollback-empty", "2"}, {"--shadow-share", "-1"}, {"--warm", "-1"}, {"--rollback-window", "-1s"},
	} {
		if _, err := parse(t, args...); err == nil {
			t.Errorf("%v: got no error", args)
		}
	}
	t.Setenv("ATTUNE_MILVUS_PASSWORD", "secret")
	c, err := parse(t, "--milvus-address", "m:19530", "--milvus-username", "root", "--no-auto-rollback")
	if err != nil || c.Milvus.Password != "secret" || c.Rollback || c.Milvus.From != 500000 {
		t.Errorf("got %+v, %v, want the password from the environment", c, err)
	}
}
