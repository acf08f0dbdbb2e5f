package release

import (
	"io"
	"os"
	"unsafe"

	"github.com/attune-rec/attune/models/release/safetensors"
)

// readAligned reads a file whole, aligned as a mapped one: the fallback where
// files cannot be mapped.
func readAligned(path string) (b []byte, free func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	n := int(info.Size())
	buf := make([]byte, n+safetensors.Align)
	at := int(-uintptr(unsafe.Pointer(&buf[0])) % safetensors.Align)
	b = buf[at : at+n : at+n]
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, nil, err
	}
	return b, func() error { return nil }, nil
}
