package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/linalg"
)

// filmSite is pairs of the shape of a large film site: a user's number of items
// is log-normal, an item's number of users follows a power law whose tail nobody
// sees the end of, and no pair comes twice. It has exactly so many pairs, each
// user at most a quarter of the items.
func filmSite(users, items, pairs int, seed uint64) linalg.CSR {
	rng := rand.New(rand.NewPCG(seed, 20))
	names := rng.Perm(items) // popularity says nothing about an item's row
	most := items / 4
	lengths, total := make([]int, users), 0
	for total < pairs {
		for u := range lengths {
			n := int(float64(pairs) / float64(users) * math.Exp(rng.NormFloat64()-.5))
			n = min(max(n, 1), most-lengths[u], pairs-total)
			lengths[u] += n
			total += n
		}
	}
	m := linalg.CSR{Rows: users, Cols: items, Ptr: make([]int64, users+1), Idx: make([]int32, 0, pairs)}
	met := make([]int32, items) // the last user who met each
	for u, n := range lengths {
		for taken := 0; taken < n; {
			i := names[int(float64(items)*math.Pow(rng.Float64(), 3))]
			if met[i] != int32(u+1) {
				met[i] = int32(u + 1)
				m.Idx = append(m.Idx, int32(i))
				taken++
			}
		}
		slices.Sort(m.Idx[m.Ptr[u]:])
		m.Ptr[u+1] = int64(len(m.Idx))
	}
	return m
}

// pairsFile is where both sides find the pairs: the number of users and of
// items, the rows' starts as 64-bit, then the columns as 32-bit integers.
const pairsFile = "pairs.bin"

func writePairs(folder string, m linalg.CSR) error {
	b := make([]byte, 0, 16+8*len(m.Ptr)+4*len(m.Idx))
	for _, v := range []any{int64(m.Rows), int64(m.Cols), m.Ptr, m.Idx} {
		var err error
		if b, err = binary.Append(b, binary.LittleEndian, v); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, pairsFile), b, 0o600)
}

// readPurchases is the data set in which every pair of the file is one purchase.
// The file is read piece by piece, since its size counts in what is measured.
func readPurchases(folder string) (_ *dataset.Dataset, err error) {
	file, err := os.Open(filepath.Join(folder, pairsFile)) // #nosec G304 -- a folder of our own making
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	in := bufio.NewReaderSize(file, 1<<16)
	var shape [2]int64
	if err := binary.Read(in, binary.LittleEndian, &shape); err != nil {
		return nil, err
	}
	if shape[0] < 0 || shape[0] > math.MaxInt32 || shape[1] < 0 || shape[1] > math.MaxInt32 {
		return nil, fmt.Errorf("%s has %d users and %d items", pairsFile, shape[0], shape[1])
	}
	d := &dataset.Dataset{Users: numbered(int(shape[0])), Items: numbered(int(shape[1])), Ptr: make([]int64, shape[0]+1)}
	if err := binary.Read(in, binary.LittleEndian, d.Ptr); err != nil {
		return nil, err
	}
	pairs := d.Ptr[shape[0]]
	if size, err := file.Stat(); err != nil || pairs < 0 || size.Size() != 16+8*(shape[0]+1)+4*pairs {
		return nil, errors.Join(err, fmt.Errorf("%s does not have the size of %d pairs", pairsFile, pairs))
	}
	d.Log = make([]features.Interaction, pairs)
	var word [4]byte
	for i := range d.Log {
		if _, err := io.ReadFull(in, word[:]); err != nil {
			return nil, err
		}
		d.Log[i] = purchase(int32(binary.LittleEndian.Uint32(word[:])))
	}
	return d, d.Validate()
}

func purchase(item int32) features.Interaction {
	return features.Interaction{Row: features.Row(item), Type: features.Purchase, Quantity: 1}
}

// purchases is the data set in which every pair is one purchase.
func purchases(m linalg.CSR) *dataset.Dataset {
	d := &dataset.Dataset{
		Users: numbered(m.Rows), Items: numbered(m.Cols), Ptr: m.Ptr, Log: make([]features.Interaction, len(m.Idx)),
	}
	for i, item := range m.Idx {
		d.Log[i] = purchase(item)
	}
	return d
}

func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

func writeFloats(path string, x []float32) error {
	b, err := binary.Append(make([]byte, 0, 4*len(x)), binary.LittleEndian, x)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

func readFloats(path string) ([]float32, error) {
	b, err := os.ReadFile(path) // #nosec G304 -- a folder of our own making
	if err != nil {
		return nil, err
	}
	x := make([]float32, len(b)/4)
	return x, binary.Read(bytes.NewReader(b), binary.LittleEndian, x)
}

// objective is the loss a pair that implicit least squares minimises,
//
//	Σ_seen (1 − x·y)² + unseen·Σ_all (x·y)² + λ·(Σ|x|² + Σ|y|²),
//
// at the given items' vectors, with every user's vector solved exactly. It
// overwrites nothing.
func objective(m linalg.CSR, items linalg.Matrix, unseen, lambda float64) (float64, error) {
	dim := items.Cols
	gram := linalg.NewMatrix(dim, dim)
	linalg.SyrkParallel(float32(unseen), items, 0, gram, linalg.Workers())
	values, failures := make([]float64, m.Rows), make([]error, m.Rows)
	linalg.ParallelN(m.Rows, 64, linalg.Workers(), func(_, lo, hi int) {
		matrix, x := linalg.NewMatrix(dim, dim), make([]float32, dim)
		var ones, scratch []float32
		for u := lo; u < hi; u++ {
			seen, _ := m.Row(u)
			for len(ones) < len(seen) {
				ones = append(ones, 1)
			}
			if need := 2 * len(seen) * dim; len(scratch) < need {
				scratch = make([]float32, need)
			}
			matrix.CopyFrom(gram)
			matrix.AddDiagonal(float32(lambda))
			linalg.SyrkGather(items, seen, ones[:len(seen)], matrix, scratch[:2*len(seen)*dim])
			if failures[u] = linalg.Cholesky(matrix); failures[u] != nil {
				continue
			}
			clear(x)
			linalg.AxpyGather(ones[:len(seen)], items.Data, seen, x)
			// At the minimum the value is Σ_seen 1 − |U⁻ᵀb|².
			linalg.TriSolveT(matrix, x)
			values[u] = float64(len(seen)) - float64(linalg.Dot(x, x))
		}
	})
	var total float64
	for u, v := range values {
		if failures[u] != nil {
			return 0, failures[u]
		}
		total += v
	}
	for row := range items.Rows {
		y := items.Row(row)
		total += lambda * float64(linalg.Dot(y, y))
	}
	return total / float64(m.NNZ()), nil
}
