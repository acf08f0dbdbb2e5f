package guard

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func memory(t *testing.T, bytes int64) *Memory {
	t.Helper()
	m, err := NewMemory(bytes)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What is taken is known, and what is given back is room for others.
func TestMemoryCountsWhatIsHeld(t *testing.T) {
	m := memory(t, 1<<20)
	var taken []*[]byte
	for range 10 {
		taken = append(taken, m.Get(10_000))
	}
	if m.Held() < 100_000 {
		t.Errorf("got %d bytes held, took 100,000", m.Held())
	}
	for _, b := range taken {
		*b = (*b)[:1] // as a reader does that got less
		m.Put(b)
	}
	if m.Held() != 0 {
		t.Errorf("got %d bytes held once all was given back", m.Held())
	}
}

// Whom the bound within turns away is counted, and takes nothing of the others.
func TestMemoryInsideCountsWithin(t *testing.T) {
	m := memory(t, 1<<20)
	in := m.Inside()
	end, err := in.Message(context.Background(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := in.Message(ctx, 1); status.Code(err) != codes.ResourceExhausted || m.Shed() != 1 {
		t.Errorf("got %v and %d turned away, want ResourceExhausted and 1", err, m.Shed())
	}
	free, err := m.Message(context.Background(), 1<<20)
	if err != nil {
		t.Fatalf("got %v of the bound itself, want its turn", err)
	}
	free()
}

// With all taken, a large frame waits until another is given back, or for a
// second; a small one does not wait, and calls are let in.
func TestMemoryMakesLargeFramesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory(t, 1<<20)
		all := m.Get(1 << 20)
		began := time.Now()
		m.Put(m.Get(100))
		if waited := time.Since(began); waited != 0 {
			t.Errorf("a small frame waited for %v", waited)
		}
		if _, err := m.Accept(t.Context(), nil); err != nil {
			t.Errorf("a call was turned away: %v", err)
		}
		more := m.Get(16 << 10)
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("a large frame waited for %v, expected a second", waited)
		}
		m.Put(more)
		began = time.Now()
		time.AfterFunc(100*time.Millisecond, func() { m.Put(all) })
		m.Put(m.Get(16 << 10))
		if waited := time.Since(began); waited > 200*time.Millisecond {
			t.Errorf("a large frame waited for %v though there was room after 100ms", waited)
		}
	})
}

func TestMemoryTurnsCallsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory(t, 1<<20)
		taken := []*[]byte{m.Get(1 << 20), m.Get(1 << 20), m.Get(1 << 20)}
		if _, err := m.Accept(t.Context(), nil); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("got %v with three times held what should be", err)
		}
		for _, b := range taken {
			m.Put(b)
		}
		if _, err := m.Accept(t.Context(), nil); err != nil {
			t.Errorf("got %v with nothing held", err)
		}
		if m.Shed() != 1 {
			t.Errorf("got %d turned away, expected 1", m.Shed())
		}
	})
}

// Turns are taken in order of asking; who waits too long is told so, and one
// larger than all there is goes alone.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory(t, 1000)
		end, err := m.Message(t.Context(), 5000)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Message(t.Context(), 1); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("got %v while another has its turn", err)
		}
		other, err := m.Body(t.Context(), 1000)
		if err != nil {
			t.Fatalf("bodies wait for messages: %v", err)
		}
		other()
		time.AfterFunc(time.Second, end)
		next, err := m.Message(t.Context(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		next()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := m.Message(ctx, 1); err == nil {
			t.Error("a call that is gone got a turn")
		}
	})
}
