package signal

import (
	"encoding/binary"
	"hash/crc32"
)

// sealed is a snapshot with the body and the checksum it must have.
func sealed(body []byte) []byte {
	all := append([]byte(magic), body...)
	return binary.LittleEndian.AppendUint32(all, crc32.Checksum(all, crc32.MakeTable(crc32.Castagnoli)))
}
