//go:build !unix

package release

// mapFile reads a file whole where it cannot be mapped.
func mapFile(path string) (b []byte, free func() error, err error) { return readAligned(path) }

// forget does nothing: what was read whole has no file behind it.
func forget([]byte) {}
