package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/attune-rec/attune/models"
)

func sample() []Named {
	return []Named{
		{"scales", models.TensorOf([]float32{1, 2, 3}, 3)},
		{"codes", models.TensorOf([]int8{-1, 0, 1, 2, 3}, 5)},
		{"factors", models.TensorOf([]float32{1, 2, 3, 4, 5, 6}, 2, 3)},
		{"ids", models.TensorOf([]int64{math.MinInt64, math.MaxInt64}, 2)},
		{"empty", models.TensorOf([]int32{}, 0, 4)},
		{"one", models.TensorOf([]float64{math.Pi})},
	}
}

func written(t *testing.T, ts []Named, meta map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, ts, meta); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestParseReturnsWhatWasWritten(t *testing.T) {
	meta := map[string]string{"kind": "ials"}
	b := written(t, sample(), meta)
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Tensors) != len(sample()) || !reflect.DeepEqual(f.Metadata, meta) {
		t.Fatalf("got %v and %v, want the sample and %v", f.Names(), f.Metadata, meta)
	}
	for _, n := range sample() {
		got := f.Tensors[n.Name]
		if got.DType != n.Tensor.DType || len(got.Shape) != len(n.Tensor.Shape) || !bytes.Equal(got.Data, n.Tensor.Data) {
			t.Errorf("%s: got %v, want %v", n.Name, got, n.Tensor)
		}
	}
}

func TestTensorsAreAligned(t *testing.T) {
	b := written(t, sample(), nil)
	n := binary.LittleEndian.Uint64(b)
	if (n+8)%Align != 0 {
		t.Fatalf("got data at %d, want a multiple of %d", n+8, Align)
	}
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range f.Tensors {
		if len(x.Data) == 0 {
			continue
		}
		at := bytes.Index(b[n:], x.Data)
		for ; at >= 0 && &b[int(n)+at] != &x.Data[0]; at++ {
		}
		if (int(n)+at)%Align != 0 {
			t.Errorf("%s: got offset %d, want a multiple of %d", name, int(n)+at, Align)
		}
	}
}

func TestWriteIsTheSameForAnyOrder(t *testing.T) {
	s := sample()
	a := written(t, s, nil)
	s[0], s[3], s[1], s[4] = s[3], s[0], s[4], s[1]
	if !bytes.Equal(a, written(t, s, nil)) {
		t.Fatal("got other bytes for another order, want the same")
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, ts := range map[string][]Named{
		"twice":    {sample()[0], sample()[0]},
		"padding":  {{"~1", models.TensorOf([]uint8{1}, 1)}},
		"metadata": {{metaKey, models.TensorOf([]uint8{1}, 1)}},
		"shape":    {{"a", models.TensorOf([]float32{1, 2}, 3)}},
		"type":     {{"a", models.Tensor{DType: "F16", Shape: []int{1}, Data: []byte{1, 2}}}},
	} {
		if err := Write(&bytes.Buffer{}, ts, nil); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestParseRefuses(t *testing.T) {
	one := `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"seven bytes":      make([]byte, 7),
		"no object":        raw(`[]`, 0),
		"header too long":  binary.LittleEndian.AppendUint64(nil, 1<<40),
		"header cut":       raw(`{`+one+`}`, 0)[:20],
		"twice":            raw(`{`+one+`,`+one+`}`, 8),
		"field twice":      raw(`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8),
		"unknown field":    raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8),
		"no shape":         raw(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8),
		"unknown type":     raw(`{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}`, 8),
		"negative shape":   raw(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8),
		"huge shape":       raw(`{"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,8]}}`, 8),
		"short":            raw(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8),
		"data cut":         raw(`{`+one+`}`, 7),
		"data too long":    raw(`{`+one+`}`, 9),
		"hole":             raw(`{`+one+`,"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}`, 10),
		"overlap":          raw(`{`+one+`,"b":{"dtype":"U8","shape":[1],"data_offsets":[7,8]}}`, 8),
		"backwards":        raw(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[8,0]}}`, 8),
		"three offsets":    raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 1),
		"something after":  raw(`{`+one+`}{}`, 8),
		"metadata no text": raw(`{"__metadata__":{"a":1},`+one+`}`, 8),
		"not UTF-8":        raw("{\"\xff\":{}}", 0),
		"deep":             raw(`{"a":`+strings.Repeat(`[`, 20000), 0),
	} {
		if _, err := Parse(b); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got error %v, want ErrInvalid", name, err)
		}
	}
}

func TestParseRefusesEveryTruncation(t *testing.T) {
	b := written(t, sample(), nil)
	for n := range b {
		if _, err := Parse(b[:n]); !errors.Is(err, ErrInvalid) {
			t.Fatalf("cut to %d of %d bytes: got error %v, want ErrInvalid", n, len(b), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, sample(), map[string]string{"a": "b"}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(raw(`{}`, 0))
	f.Add(raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	for _, n := range []int{0, 7, 9, b.Len() / 2, b.Len() - 1} {
		f.Add(b.Bytes()[:n])
	}
	for _, header := range []string{
		``, `[]`, `{"a"`, `{"a":`, `{"a":1}`, `{"a":[]}`, `{"a":{}}`, `{"a":{"dtype":"F32"}}`, `{"a":{"dtype":3}}`, `{"a":{"shape":"x"}}`, `{"a":{"surprise":1}}`, "{\xff}",
		`{"a":{"data_offsets":"x"}}`, `{"a":{"data_offsets":[0]}}`, `{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,8]}}`, `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`,
		`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, `{"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}`, `{"__metadata__":{"a":1}}`, `{"__metadata__":{"a"`,
		`{"__metadata__":{"a":"b","a":"c"}}`, `{} {}`, `{} `, `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]`,
		`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
	} {
		f.Add(raw(header, 8))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("got error %v, want ErrInvalid", err)
			}
			return
		}
		var named []Named
		for _, n := range file.Names() {
			if n == "" {
				return // the format allows it, Write does not
			}
			named = append(named, Named{n, file.Tensors[n]})
		}
		var out bytes.Buffer
		if err := Write(&out, named, file.Metadata); err != nil {
			t.Fatalf("write what was parsed: %v", err)
		}
		again, err := Parse(out.Bytes())
		if err != nil {
			t.Fatalf("parse what was written: %v", err)
		}
		if !reflect.DeepEqual(again.Names(), file.Names()) {
			t.Fatalf("got %v, want %v", again.Names(), file.Names())
		}
	})
}
