package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/attune-rec/attune/features/raced"
)

// FuzzPage opens damaged pages: an error or events, never a panic. The
// checksum is made right, so that the decoder itself is reached.
func FuzzPage(f *testing.F) {
	var w pageWriter
	w.reset(1)
	for n := range 5 {
		e := stored{Event: event(n), text: []byte("x")}
		e.Seq = int64(n + 1)
		w.add(&e)
	}
	good := w.bytes()
	for n := range len(good) - 3 { // whole, and cut anywhere
		f.Add(bytes.Clone(good[:n]))
	}
	f.Add([]byte{pageV1, 0, 0})
	unnamed := binary.AppendUvarint([]byte{pageV1, 0, 1, 1}, hasSurface)
	f.Add(append(unnamed, 1, 0, 0, 5)) // a surface by the number of a name that there is not
	f.Fuzz(func(t *testing.T, body []byte) {
		page := withChecksum(body)
		var r pageReader
		if err := r.open(shop, 1, page); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v, want ErrCorrupt", err)
			}
			return
		}
		var e stored
		n := 0
		for r.next(&e) {
			n++
		}
		if n > len(body) {
			t.Errorf("got %d events of %d bytes", n, len(body))
		}
		if err := r.err(); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("got %v, want ErrCorrupt", err)
		}
	})
}

// FuzzServed unpacks damaged records of answers.
func FuzzServed(f *testing.F) {
	items := []ServedItem{{"a", "ials", 1.5, 1}, {"b", "popular", -2, 0.25}}
	f.Add(packServed(&Served{Items: items}))
	whole := packServed(&Served{Page: "p", Cart: []string{"c", ""}, Items: items})
	for n := range len(whole) + 1 {
		f.Add(whole[:n])
	}
	f.Add([]byte{9})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got, again Served
		if err := unpackServed(b, &got); err != nil {
			return
		}
		if err := unpackServed(packServed(&got), &again); err != nil || len(again.Items) != len(got.Items) || again.Page != got.Page || len(again.Cart) != len(got.Cart) {
			t.Errorf("packed again: got %v, %v, want %v", again, err, got)
		}
	})
	for _, want := range []Served{{Items: items}, {Page: "p", Items: items}, {Cart: []string{"c", "d"}, Items: items}} {
		var got Served
		if err := unpackServed(packServed(&want), &got); err != nil || !reflect.DeepEqual(got, want) {
			f.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
}

// TestDamagedSidecar flips every byte of an index in turn: it is refused when
// it is opened, or when the events are read.
func TestDamagedSidecar(t *testing.T) {
	if raced.On {
		t.Skip("the reader of a file has one goroutine")
	}
	var b sidecarBuilder
	var every []int64
	for n := range 20 {
		every = append(every, int64(n))
		e := stored{Event: event(n)}
		e.Seq = int64(n + 1)
		b.add(&e, uint32(n))
	}
	var good bytes.Buffer
	if err := b.writeTo(&good); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.idx")
	for at := range good.Len() {
		bad := bytes.Clone(good.Bytes())
		bad[at] ^= 0x40
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := openSidecar(path)
		if err == nil {
			_, err = c.events(shop, every)
			c.close()
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d flipped: got %v, want ErrCorrupt", at, err)
		}
	}
}

// TestFilter expects every id that was added, and few others.
func TestFilter(t *testing.T) {
	const n = 20_000
	f := newFilter(n)
	hash := func(i int) uint64 { return uint64(i+1) * 0x9E3779B97F4A7C15 }
	for i := range n {
		f.add(hash(i))
	}
	wrong := 0
	for i := range n {
		if !f.has(hash(i)) {
			t.Fatalf("id %d was added and is not there", i)
		}
		if f.has(hash(n + i)) {
			wrong++
		}
	}
	if wrong > n/200 {
		t.Errorf("%d of %d that were not added seem to be there: want at most 1 in 200", wrong, n)
	}
}
