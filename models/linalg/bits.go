package linalg

// mostWords have a bit for every row that is not negative.
const mostWords = 1 << 25

// BitsAt sets bit i of out, 64 to a word, to bit rows[i] of words; to 0 where words has no such bit.
// The rest of the last word is 0. It panics unless out has a word for every 64 rows begun.
func BitsAt(words []uint64, rows []int32, out []uint64) {
	checkLen("BitsAt", len(out), (len(rows)+63)/64)
	if len(rows) == 0 {
		return
	}
	out[len(out)-1] = 0
	bitsAt(words[:min(len(words), mostWords)], rows, out)
}

func bitsAtGeneric(words []uint64, rows []int32, out []uint64) {
	for at := range out {
		of := rows[64*at : min(64*at+64, len(rows))]
		var word uint64
		for i, row := range of {
			if w := uint32(row) >> 6; int(w) < len(words) {
				word |= words[w] >> (uint32(row) & 63) & 1 << i
			}
		}
		out[at] = word
	}
}

// AnyBit reports whether words has the bit of one of rows at least.
func AnyBit(words []uint64, rows []int32) bool {
	return len(rows) > 0 && anyBit(words[:min(len(words), mostWords)], rows)
}

func anyBitGeneric(words []uint64, rows []int32) bool {
	for _, row := range rows {
		if w := uint32(row) >> 6; int(w) < len(words) && words[w]>>(uint32(row)&63)&1 != 0 {
			return true
		}
	}
	return false
}
