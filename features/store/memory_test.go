package store

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/attune-rec/attune/features/allocated"
)

// Pages and records of some hundred bytes take no more memory than they should,
// whatever length or number they claim anywhere.
func TestLengthsThatLie(t *testing.T) {
	var w pageWriter
	w.reset(1)
	for n := range 5 {
		e := stored{Event: event(n), text: []byte("x"), attributes: []byte("y")}
		e.Seq = int64(n + 1)
		w.add(&e)
	}
	page := bytes.Clone(w.bytes())
	page = page[:len(page)-4] // without its checksum
	served := packServed(&Served{Page: "p", Cart: []string{"c", ""}, Items: []ServedItem{{"a", "ials", 1.5, 1}, {"b", "popular", -2, 0.25}}})
	answers := packAnswers(answersOf(8))
	for name, c := range map[string]struct {
		good []byte
		read func(b []byte)
	}{
		"page": {page, func(b []byte) {
			var r pageReader
			if r.open(shop, 1, withChecksum(b)) != nil {
				return
			}
			for e := new(stored); r.next(e); {
			}
		}},
		"batch of answers": {answers.body[:len(answers.body)-4], func(b []byte) {
			_, _ = (&batch{subject: answers.subject, body: withChecksum(b)}).unpack(nil)
		}},
		"record of an answer": {served, func(b []byte) {
			var got Served
			_ = unpackServed(b, &got)
		}},
	} {
		for at := range c.good {
			for _, claim := range [][]byte{binary.AppendUvarint(nil, 1<<31), binary.AppendUvarint(nil, 1<<62), {0xff, 0xff, 0xff, 0xff}} {
				b := append(bytes.Clone(c.good[:at]), claim...)
				b = append(b, c.good[min(len(c.good), at+1):]...)
				if n := allocated.Bytes(func() { c.read(b) }); n > 4<<20 {
					t.Errorf("%s, a claim of %x at byte %d: %d bytes are allocated for %d", name, claim, at, n, len(b))
				}
			}
		}
	}
}
