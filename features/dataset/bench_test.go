package dataset

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"testing"
)

// rowsOf is n rows of the shape of ML-20M: 138,493 users, 26,744 items with a
// long tail, ratings and times.
func rowsOf(n int, sep byte) []byte {
	rng := rand.New(rand.NewPCG(1, 20))
	var b []byte
	for i := range n {
		x := rng.Float64()
		b = strconv.AppendInt(b, int64(rng.IntN(138_493)), 10)
		b = append(b, sep)
		b = strconv.AppendInt(b, int64(26_744*x*x), 10)
		b = append(b, sep)
		b = strconv.AppendInt(b, int64(1+i%5), 10)
		b = append(b, sep)
		b = strconv.AppendInt(b, int64(1_100_000_000+i), 10)
		b = append(b, '\n')
	}
	return b
}

func benchmark(b *testing.B, format Format, head string, sep byte) {
	const n = 1_000_000
	data := append([]byte(head), rowsOf(n, sep)...)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		l := &Loader{Format: format}
		rows, err := l.Read("file", bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		if d := l.Dataset(rows); len(d.Log) != n {
			b.Fatal(len(d.Log))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
}

// BenchmarkPairs and BenchmarkEvents read and order a million rows.
func BenchmarkPairs(b *testing.B) { benchmark(b, Pairs, "", '\t') }

func BenchmarkEvents(b *testing.B) { benchmark(b, Events, "user,item,value,time\n", ',') }
