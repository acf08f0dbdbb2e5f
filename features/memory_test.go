package features

import (
	"sync"
	"testing"
)

func TestMemory(t *testing.T) {
	var none *Memory
	none.Give("a", 1, 1)
	none.Clear()
	if got := none.Take("a"); got != nil {
		t.Errorf("no memory: got %v, want nothing", got)
	}
	b := NewMemories(100)
	m := b.New()
	if got := m.Take("a"); got != nil {
		t.Errorf("empty: got %v, want nothing", got)
	}
	m.Give("a", 1, 40)
	if got := m.Take("a"); got != 1 {
		t.Errorf("got %v, want 1", got)
	}
	if got := m.Take("a"); got != nil {
		t.Errorf("taken twice: got %v, want nothing", got)
	}
	m.Give("a", 2, 50)
	m.Give("b", 3, 30)
	if got := b.Bytes(); got != 80 {
		t.Errorf("got %d bytes, want 80", got)
	}
	m.Clear()
	if got, bytes := m.Take("a"), b.Bytes(); got != nil || bytes != 0 {
		t.Errorf("cleared: got %v of %d bytes, want nothing", got, bytes)
	}
}

func TestMemoriesAreBounded(t *testing.T) {
	b := NewMemories(100)
	first, second, third := b.New(), b.New(), b.New()
	first.Give("a", 1, 40)
	second.Give("a", 2, 40)
	first.Give("a", first.Take("a"), 40) // now newer than the second's
	third.Give("a", 3, 40)
	for i, c := range []struct {
		m    *Memory
		want any
	}{{first, 1}, {second, nil}, {third, 3}} {
		if got := c.m.Take("a"); got != c.want {
			t.Errorf("memory %d: got %v, want %v", i, got, c.want)
		}
	}
	third.Give("b", 4, 101)
	if got, bytes := third.Take("b"), b.Bytes(); got != nil || bytes > 100 {
		t.Errorf("more than all: got %v and %d bytes, want it refused", got, bytes)
	}
	for owner := range 3 * maxNotes {
		first.Give(owner, owner, 1)
	}
	if got := len(first.notes); got != maxNotes {
		t.Errorf("got %d notes, want the newest %d", got, maxNotes)
	}
}

func TestMemoryOfManyAtOnce(t *testing.T) {
	b := NewMemories(1000)
	ms := []*Memory{b.New(), b.New(), b.New()}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				m := ms[(g+i)%len(ms)]
				held, _ := m.Take(g % 2).(*int)
				if held == nil {
					held = new(int)
				}
				*held++ // alone with it
				m.Give(g%2, held, 1+i%500)
				if i%100 == 0 {
					m.Clear()
				}
			}
		})
	}
	wg.Wait()
	for _, m := range ms {
		m.Clear()
	}
	if got := b.Bytes(); got != 0 {
		t.Errorf("got %d bytes when all is cleared, want 0", got)
	}
}

func TestMemorySteadyAllocatesNothing(t *testing.T) {
	b := NewMemories(1000)
	m, value := b.New(), new(int)
	m.Give(m, value, 8)
	if got := testing.AllocsPerRun(100, func() { m.Give(m, m.Take(m), 8) }); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
