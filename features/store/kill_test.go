package store

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

const (
	childDir   = "ATTUNE_KILL_DIR"   // set: this process is the child
	childRound = "ATTUNE_KILL_ROUND" // its number
	rounds     = "ATTUNE_KILL_ROUNDS"
)

// TestKill kills a process that appends and seals, again and again at random
// moments, and expects every acknowledged event to be there, and none twice.
// ATTUNE_KILL_ROUNDS says how often; 10 by default.
func TestKill(t *testing.T) {
	if os.Getenv(childDir) != "" {
		child(t)
		return
	}
	n := 10
	if s := os.Getenv(rounds); s != "" {
		n = must(strconv.Atoi(s))(t)
	}
	if testing.Short() {
		n = 2
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	acknowledged := map[string]int64{}
	for round := range n {
		for id, seq := range oneLife(t, dir, round, time.Duration(rng.IntN(400))*time.Millisecond) {
			acknowledged[id] = seq
		}
	}
	s := open(t, Options{Dir: dir, SealAt: -1})
	seen := map[string]int64{}
	next := int64(1)
	for _, e := range scan(t, s, 0, 0) {
		if e.Seq != next {
			t.Fatalf("got event %d, want %d", e.Seq, next)
		}
		next++
		if at, ok := seen[e.ID]; ok {
			t.Fatalf("event %s is stored as %d and as %d", e.ID, at, e.Seq)
		}
		seen[e.ID] = e.Seq
	}
	for id, seq := range acknowledged {
		if seen[id] != seq {
			t.Fatalf("event %s was acknowledged as %d and is %d (0: lost)", id, seq, seen[id])
		}
	}
	if len(acknowledged) == 0 {
		t.Fatal("no event was acknowledged: the test shows nothing")
	}
	t.Logf("%d lives, %d events acknowledged, %d stored, %d segments", n, len(acknowledged), len(seen), len(must(s.Segments(context.Background(), shop))(t)))
}

// oneLife runs the child, kills it some time after its first acknowledgement,
// and returns what it had acknowledged.
func oneLife(t *testing.T, dir string, round int, life time.Duration) map[string]int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childRound+"="+strconv.Itoa(round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ledger := map[string]int64{}
	var kill sync.Once
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		kill.Do(func() {
			time.AfterFunc(life, func() { cmd.Process.Kill() })
		})
		id, seq, ok := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseInt(seq, 10, 64); ok && err == nil && strings.HasPrefix(id, "life-") {
			ledger[id] = n
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return ledger
}

// child appends from several callers, each event twice, until it is killed,
// and prints each acknowledgement.
func child(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: os.Getenv(childDir), SegmentRows: 500, SealAt: 1000, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var printing sync.Mutex
	var callers sync.WaitGroup
	for c := range 8 {
		callers.Go(func() {
			for batch := 0; ; batch++ {
				events := make([]features.Event, 5)
				for i := range events {
					events[i] = event(batch*5 + i)
					events[i].ID = fmt.Sprintf("life-%s-%d-%d-%d", os.Getenv(childRound), c, batch, i)
				}
				for range 2 {
					got, err := s.Append(ctx, shop, events)
					if err != nil {
						fmt.Fprintln(os.Stderr, err)
						return
					}
					printing.Lock()
					for i, a := range got {
						fmt.Printf("%s %d\n", events[i].ID, a.Seq)
					}
					printing.Unlock()
				}
			}
		})
	}
	callers.Wait()
}
