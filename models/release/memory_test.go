package release

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/attune-rec/attune/features/allocated"
)

// A table of some kilobytes takes no more memory than it should, whatever length
// or number it claims anywhere in it.
func TestItemsWhoseLengthsLie(t *testing.T) {
	var b writerTo
	if err := WriteItems(&b, goldenDraft().Items); err != nil {
		t.Fatal(err)
	}
	step := 3
	if testing.Short() {
		step = 31
	}
	const most = 256 << 20 // room for 2^17 items, which a file may claim
	for at := 0; at+5 < len(b); at += step {
		file := bytes.Clone(b)
		copy(file[at:], binary.AppendVarint(nil, 1<<31-1)) // lengths are zigzag varints
		if n := allocated.Bytes(func() { _, _ = ReadItems(file) }); n > most {
			t.Errorf("a length of 2 GiB at byte %d of %d: %d bytes are allocated, want %d at most", at, len(file), n, most)
		}
	}
}
