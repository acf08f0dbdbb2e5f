package sequence

import (
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/models/nn"
)

// windows cuts the histories into pieces of at most window+1 tokens that
// overlap by one, so that each token but the first is predicted once. Where a
// long history is cut varies with rng.
func (c *corpus) windows(window int, rng *rand.Rand) [][]token {
	pieces := make([][]token, 0, len(c.seqs))
	for _, s := range c.seqs {
		if len(s) <= window+1 {
			pieces = append(pieces, s)
			continue
		}
		end := len(s)
		from := end - 1 - (window/2 + rng.IntN(window-window/2+1))
		pieces = append(pieces, s[max(from, 0):end])
		for from > 0 {
			end = from + 1
			from = max(end-1-window, 0)
			if end-from >= 2 {
				pieces = append(pieces, s[from:end])
			}
		}
	}
	return pieces
}

// batches shuffles pieces into batches of about the given number of tokens to
// predict, each of pieces of similar length, longest first.
func batches(pieces [][]token, tokens int, rng *rand.Rand) [][][]token {
	const pool = 8192
	rng.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	var out [][][]token
	for p := range slices.Chunk(pieces, pool) {
		slices.SortStableFunc(p, func(a, b []token) int { return len(b) - len(a) })
		for len(p) > 0 {
			n, sum := 0, 0
			for n < len(p) && (n == 0 || sum+len(p[n])-1 <= tokens) {
				sum += len(p[n]) - 1
				n++
			}
			out = append(out, p[:n])
			p = p[n:]
		}
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// deal gives each of n replicas a fair share of a batch's pieces, which stay
// sorted by length.
func deal(pieces [][]token, n int) [][][]token {
	out := make([][][]token, n)
	for i, p := range pieces {
		k := i % n
		if i/n%2 == 1 { // there and back, so that no replica always has the longer one
			k = n - 1 - k
		}
		out[k] = append(out[k], p)
	}
	return out
}

// packed is pieces laid out for a network: the tokens read, and for each the
// item to predict.
type packed struct {
	items, kinds, gaps, targets []int32
	steps                       nn.Steps   // of the layout by time
	lengths                     nn.Lengths // of the layout by sequence
}

func (b *packed) add(p []token, i int) {
	b.items, b.kinds, b.gaps = append(b.items, p[i].item), append(b.kinds, p[i].kind), append(b.gaps, p[i].gap)
	b.targets = append(b.targets, p[i+1].item)
}

// lay fills b with pieces, which are sorted by length, longest first: by time
// or by sequence.
func (b *packed) lay(pieces [][]token, byTime bool) {
	b.items, b.kinds, b.gaps, b.targets = b.items[:0], b.kinds[:0], b.gaps[:0], b.targets[:0]
	b.steps, b.lengths = b.steps[:0], b.lengths[:0]
	if !byTime {
		for _, p := range pieces {
			for i := range len(p) - 1 {
				b.add(p, i)
			}
			b.lengths = append(b.lengths, len(p)-1)
		}
		return
	}
	for t := 0; ; t++ {
		n := 0
		for n < len(pieces) && len(pieces[n])-1 > t {
			b.add(pieces[n], t)
			n++
		}
		if n == 0 {
			return
		}
		b.steps = append(b.steps, n)
	}
}
