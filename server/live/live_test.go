package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// flat is a model whose every score is the same number, kept in the mapped file.
type flat struct{ scores []float32 }

func (m *flat) Kind() string { return "flat" }

func (m *flat) Items() int { return len(m.scores) }

func (m *flat) Score(_ *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		out[i] = m.scores[row]
	}
}

func (m *flat) Save(w models.Writer) error {
	return w.Tensor("scores", models.TensorOf(m.scores, len(m.scores)))
}

func kinds(name string) (models.Kind, bool) {
	return models.Kind{Name: "flat", Open: func(r models.Reader) (models.Model, error) {
		t, err := r.Tensor("scores")
		if err != nil {
			return nil, err
		}
		s, err := models.View[float32](t, -1)
		return &flat{s}, err
	}}, name == "flat"
}

// engine is what the tests build from a release.
type engine struct {
	model models.Model
	freed atomic.Bool
}

const rows = 2048 // two pages of scores

func publish(t *testing.T, st release.Store, shop features.ShopID, value float32) string {
	t.Helper()
	d := release.Draft{Shop: shop, Now: time.Unix(1_700_000_000+int64(value), 0)}
	m := &flat{make([]float32, rows)}
	for i := range m.scores {
		m.scores[i] = value
		d.Items = append(d.Items, features.Item{ID: fmt.Sprintf("%v/%d", value, i)})
	}
	d.Models = []models.Part{{Name: "flat", Model: m}}
	man, err := release.Publish(context.Background(), st, d)
	if err != nil {
		t.Fatal(err)
	}
	return man.Version
}

func promote(t *testing.T, st release.Store, shop features.ShopID, version string) {
	t.Helper()
	if _, err := release.Promote(context.Background(), st, shop, version, release.Change{By: "test"}); err != nil {
		t.Fatal(err)
	}
}

type journal struct {
	mu     sync.Mutex
	events []Event
}

func (j *journal) add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, e := range j.events {
		if e.What == what {
			n++
		}
	}
	return n
}

func options(st release.Store, j *journal) Options[*engine] {
	return Options[*engine]{
		Store: st, Kinds: kinds, Every: time.Hour, Observe: j.add, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Build: func(_ context.Context, r *release.Release) (*engine, error) {
			m, ok := r.Model("flat")
			if !ok {
				return nil, errors.New("no model flat")
			}
			return &engine{model: m}, nil
		},
		Free: func(e *engine) error {
			if e.freed.Swap(true) {
				return errors.New("freed twice")
			}
			return nil
		},
	}
}

func newSet(t *testing.T, o Options[*engine]) *Set[*engine] {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// answer scores some rows and returns the version it was made by.
func answer(s *Set[*engine], shop features.ShopID, key []byte) (version string, value float32, err error) {
	l, err := s.Acquire(context.Background(), shop, key)
	if err != nil {
		return "", 0, err
	}
	defer l.Done()
	items := []features.Row{0, rows / 2, rows - 1}
	out := make([]float32, len(items))
	l.Value.model.Score(nil, items, out)
	if out[0] != out[1] || out[1] != out[2] {
		return "", 0, fmt.Errorf("answer %v mixes releases", out)
	}
	if row, ok := l.Release.Row(fmt.Sprintf("%v/7", out[0])); !ok || row != 7 {
		return "", 0, fmt.Errorf("items of %s are not those of its model", l.Version())
	}
	if l.Value.freed.Load() {
		return "", 0, fmt.Errorf("release %s was freed under a request", l.Version())
	}
	return l.Version(), out[0], nil
}

func wants(t *testing.T, s *Set[*engine], shop features.ShopID, want string) {
	t.Helper()
	if got, _, err := answer(s, shop, nil); err != nil || got != want {
		t.Fatalf("got release %s, %v, want %s", got, err, want)
	}
}
