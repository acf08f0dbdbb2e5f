package signals_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/signals"
)

// A start reads the file and what the log has beyond it; one that is damaged,
// or newer than the log, is left aside; who is forgotten takes it along.
func TestStartsFromAFile(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	open := func(data string) *store.Store {
		st, err := store.Open(ctx, store.Options{Dir: data, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		return st
	}
	st := open(t.TempDir())
	rng := rand.New(rand.NewPCG(3, 1))
	more := func(n int) {
		t.Helper()
		for i := range n {
			if _, err := st.Append(ctx, features.DefaultShop, []features.Event{happening(rng, i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var said bytes.Buffer
	// start gives the bytes of the memory that a keeper has after Load.
	start := func(log signals.Log, dir string, then func(k *signals.Keeper)) []byte {
		t.Helper()
		k, err := signals.New(signals.Options{Log: log, Dir: dir, Every: time.Hour, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Load(ctx, features.DefaultShop); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := k.State(features.DefaultShop).(*signal.Memory).Save(&b); err != nil {
			t.Fatal(err)
		}
		if then != nil {
			then(k)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	path := filepath.Join(dir, "default.signals")
	more(80)
	start(st, dir, nil)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no file after Close: %v", err)
	}
	more(50)
	counted := &counting{Log: st}
	if got, want := start(counted, dir, nil), start(st, "", nil); !bytes.Equal(got, want) {
		t.Fatal("a start from the file gives another memory than one from the log")
	}
	if counted.from != 81 {
		t.Errorf("the log was read from %d on, want 81", counted.from)
	}
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all[len(all)/2] ^= 1
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := start(st, dir, nil), start(st, "", nil); !bytes.Equal(got, want) || !strings.Contains(said.String(), "checksum") {
		t.Errorf("a damaged file: got another memory, or no word of it: %s", said.String())
	}
	said.Reset()
	if got, want := start(&touching{Store: st}, dir, nil), start(st, "", nil); !bytes.Equal(got, want) || !strings.Contains(said.String(), "were changed") {
		t.Errorf("somebody erased since: got another memory, or no word of it: %s", said.String())
	}
	other := open(t.TempDir())
	if got, want := start(other, dir, nil), start(other, "", nil); !bytes.Equal(got, want) {
		t.Error("a file that is newer than the log was taken")
	}
	start(st, dir, func(k *signals.Keeper) {
		k.Forget(features.DefaultShop, person(0))
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the file of somebody forgotten: got %v, want %v", err, fs.ErrNotExist)
		}
	})
}

// touching says that somebody was erased.
type touching struct{ *store.Store }

func (*touching) Touched(context.Context, features.ShopID, time.Time) ([]features.UserKey, error) {
	return []features.UserKey{{1}}, nil
}

// counting remembers where the log was read from.
type counting struct {
	signals.Log
	from int64
}

func (c *counting) Scan(ctx context.Context, shop features.ShopID, from, to int64, f func(*features.Event) error) error {
	c.from = from
	return c.Log.Scan(ctx, shop, from, to, f)
}
