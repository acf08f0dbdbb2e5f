// Package assign puts people into shares of a whole, the same one every time:
// canaries and experiments. It imports the standard library only.
package assign

import (
	"crypto/sha256"
	"encoding/binary"
)

// Share is a number in [0, 1) that depends on salt and key alone and is spread
// evenly over keys: the first 53 bits of SHA-256 over the salt's length as
// eight little-endian bytes, the salt and the key. Whoever has a Share below s
// is in a share of size s, and stays in it when s grows; another salt draws
// independently.
func Share(salt, key []byte) float64 {
	var buf [128]byte
	b := binary.LittleEndian.AppendUint64(buf[:0], uint64(len(salt)))
	b = append(append(b, salt...), key...)
	sum := sha256.Sum256(b)
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}
