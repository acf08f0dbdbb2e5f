package profile

import (
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// TestSendersWaitForTheFollower has a sender far ahead of a follower that does
// not read: it goes on once the follower is near, or when it does something
// else.
func TestSendersWaitForTheFollower(t *testing.T) {
	const ahead = 10 * mostBehind
	b := newBench(t)
	k, err := New(Options{Store: b.store, Wait: time.Hour})
	must(t, err)
	s := k.shop(shopID)
	must(t, k.Close()) // the follower is ours now
	for name, free := range map[string]func(){
		"near":            func() { s.seq.Store(ahead - mostBehind) },
		"does other work": func() { s.reading.Store(false) },
	} {
		s.seq.Store(0)
		s.reading.Store(true)
		began, done := make(chan struct{}), make(chan bool)
		go func() {
			close(began)
			k.Stored(shopID, []features.Event{{Seq: ahead}})
			done <- s.seq.Load() == 0 && s.reading.Load()
		}()
		<-began
		time.Sleep(20 * time.Millisecond) // so that one who does not wait is met
		free()
		if early := <-done; early {
			t.Errorf("%s: the sender went on before", name)
		}
	}
}
