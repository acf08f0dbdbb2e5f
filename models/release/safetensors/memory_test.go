package safetensors

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features/allocated"
)

// A file of some bytes takes no more memory than it should, whatever it claims.
func TestLengthsThatLie(t *testing.T) {
	long := binary.LittleEndian.AppendUint64(nil, 1<<62)
	files := map[string][]byte{
		"header of 4 EiB": append(long, `{}`...),
		"header of 1 GiB": append(binary.LittleEndian.AppendUint64(nil, 1<<30), `{}`...),
		"tensor of 4 EiB": raw(`{"a":{"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,4611686018427387904]}}`, 8),
		"shape overflows": raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]}}`, 8),
		"shape of zero":   raw(`{"a":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[0,0]}}`, 0),
		"deep":            raw(`{"a":`+strings.Repeat(`[`, 1<<16), 8),
	}
	for name, b := range files {
		var err error
		if n := allocated.Bytes(func() { _, err = Parse(b) }); n > 8<<20 {
			t.Errorf("%s: %d bytes are allocated for %d", name, n, len(b))
		}
		if err == nil && name != "shape of zero" {
			t.Errorf("%s: got no error", name)
		}
	}
}
