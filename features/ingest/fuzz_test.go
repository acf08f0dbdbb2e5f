package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
)

// drain reads all rows: refused rows are fine, endless ones are not. Of a Parquet
// file, most 0, it reads 300: a few bytes may stand for millions of rows.
func drain(t *testing.T, r Reader, columns []string, most int) {
	t.Helper()
	if err := r.Bind(columns); err != nil {
		return
	}
	d := newDecoder(&Mapping{Columns: map[string]string{"user": columns[3], "time": "t", "quantity": "q", "price": "p"}})
	d.columns = columns
	var row Row
	var rec Record
	for n := 0; ; n++ {
		if most == 0 && n == 300 {
			return
		}
		if most > 0 && n > most {
			t.Fatalf("more than %d rows of %d bytes", most, most)
		}
		err := r.Next(&row)
		var bad *RowError
		if errors.As(err, &bad) {
			if bad.Reason == "" {
				t.Error("a row was refused without a reason")
			}
			continue
		}
		if err != nil {
			return
		}
		if len(row.Values) != len(columns) {
			t.Fatalf("line %d has %d values, want %d", row.Line, len(row.Values), len(columns))
		}
		if err := d.decode(&row, &rec); err != nil && !errors.As(err, &bad) {
			t.Fatalf("decode: got %v, want a *RowError", err)
		}
	}
}

func fuzzText(f *testing.F, kind string, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &stream{under: io.NopCloser(bytes.NewReader(b)), size: int64(len(b))}
		r, err := textReader(kind, Format{}, s, s)
		if err != nil {
			return
		}
		drain(t, r, []string{"p", "q", "t", "u"}, len(b)+1)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzCSV(f *testing.F) {
	fuzzText(f, "csv", "u,t,q,p\n1,2011-01-01,3,4.5\n\"a\"\"b\",x,1\n", "\xef\xbb\xbfp,q,t,u\n\xff,1,2,3\n", "p,q,t,u\n\"")
}

func FuzzJSONL(f *testing.F) {
	for _, s := range []string{
		`{"u":1,"t":"2011-01-01","q":3,"p":4.5}` + "\n\n[1]\n{\"u\":{}}\n{}{}", "\xff\n{",
		`{"u":{"id":"a"},"q":true,"p":null}`, `{"u":{"id":7},"q":[1,"a"]}`, `{"u":{"id":false}}`, `{"u":"a"}`, `{"u":1}`, `{"u":true}`, `{"u":[1]}`, `{"q":{}}`,
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, lists bool) {
		s := &stream{under: io.NopCloser(bytes.NewReader(b)), size: int64(len(b))}
		r, err := textReader("jsonl", Format{}, s, s)
		if err != nil {
			t.Fatal(err)
		}
		if j, ok := r.(*jsonl); ok && lists {
			j.takeLists()
		}
		drain(t, r, []string{"p", "q", "t", "u.id"}, len(b)+1)
		if done, total := r.Progress(); done > total {
			t.Errorf("read %d of %d bytes", done, total)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A line that is longer than is taken is refused by its number, and the lines
// after it are read.
func TestLongLine(t *testing.T) {
	in := `{"u":"a"}` + "\n{\"u\":\"" + strings.Repeat("x", maxLine) + "\"}\n" + `{"u":"b"}`
	s := &stream{under: io.NopCloser(strings.NewReader(in))}
	r, err := textReader("jsonl", Format{}, s, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Bind([]string{"u"}); err != nil {
		t.Fatal(err)
	}
	var row Row
	var got []string
	for {
		err := r.Next(&row)
		var bad *RowError
		if errors.As(err, &bad) {
			got = append(got, fmt.Sprintf("line %d refused", bad.Line))
			continue
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		got = append(got, row.Values[0])
	}
	if want := []string{"a", "line 2 refused", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzParquet(f *testing.F) {
	type line struct {
		U string    `parquet:"u,optional"`
		T time.Time `parquet:"t,timestamp(millisecond)"`
		Q int32     `parquet:"q"`
		P float64   `parquet:"p"`
	}
	var b bytes.Buffer
	if err := parquet.Write(&b, []line{{"1", time.Unix(1e9, 0), 3, 4.5}, {"", time.Unix(2e9, 0), -1, 0}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	type other struct { // the other types that are rendered
		P float32   `parquet:"p"`
		Q int64     `parquet:"q,decimal(2:18)"`
		T time.Time `parquet:"t,timestamp(microsecond)"`
		U []byte    `parquet:"u"`
	}
	type third struct {
		P bool      `parquet:"p"`
		Q int32     `parquet:"q,decimal(2:9)"`
		T time.Time `parquet:"t,timestamp(nanosecond)"`
		U int32     `parquet:"u,date"`
	}
	type fourth struct {
		P int64            `parquet:"p"`
		Q int64            `parquet:"q,decimal(0:18)"`
		T deprecated.Int96 `parquet:"t"`
		U []string         `parquet:"u,list"`
	}
	type plain struct { // types that have no logical type, and old times
		P int32            `parquet:"p"`
		Q []byte           `parquet:"q"`
		T deprecated.Int96 `parquet:"t"`
		U int64            `parquet:"u,decimal(2:18)"`
	}
	for _, write := range []func(w *bytes.Buffer) error{
		func(w *bytes.Buffer) error {
			return parquet.Write(w, []plain{{9, []byte{0xff}, deprecated.Int96{1, 2, 2440588}, 5}})
		},
		func(w *bytes.Buffer) error {
			return parquet.Write(w, []other{{1.5, -7, time.Unix(1e9, 0), []byte{0xff}}, {0, 1234, time.Unix(1, 5), []byte("x")}})
		},
		func(w *bytes.Buffer) error {
			return parquet.Write(w, []third{{true, -7, time.Unix(1e9, 0), 19000}, {false, 1234, time.Unix(1, 5), -1}})
		},
		func(w *bytes.Buffer) error {
			return parquet.Write(w, []fourth{{9, 8, deprecated.Int96{1, 2, 2440588}, []string{"a", "b"}}})
		},
	} {
		var w bytes.Buffer
		if err := write(&w); err != nil {
			f.Fatal(err)
		}
		f.Add(w.Bytes())
		f.Add(w.Bytes()[:w.Len()/2])
		pages := bytes.Clone(w.Bytes()) // the footer holds, what lies before it does not
		for i := 4; i < len(pages)/3; i++ {
			pages[i] ^= 0xa5
		}
		f.Add(pages)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parquet("x.parquet", bytes.NewReader(b), int64(len(b))).Open()
		if err != nil {
			return
		}
		drain(t, r, []string{"p", "q", "t", "u"}, 0)
		if done, _ := r.Progress(); done < 0 {
			t.Errorf("read %d rows", done)
		}
		r.Close()
	})
}

func FuzzTime(f *testing.F) {
	for _, l := range layouts {
		f.Add(time.Date(2011, 12, 9, 12, 50, 0, 0, time.UTC).Format(l))
	}
	f.Add("1323435000")
	f.Add("1323435000.25")
	f.Fuzz(func(t *testing.T, s string) {
		var p, fresh times
		a, err := p.parse(s)
		if err != nil {
			return
		}
		if b, err := p.parse(s); err != nil || !b.Equal(a) {
			t.Errorf("%q: got %v, %v the second time, want %v", s, b, err, a)
		}
		if b, err := fresh.parse(s); err != nil || !b.Equal(a) {
			t.Errorf("%q: got %v, %v from another parser, want %v", s, b, err, a)
		}
	})
}

func FuzzNumber(f *testing.F) {
	f.Add("1,234.5", false)
	f.Add("1.234,5", true)
	f.Add("-12", false)
	f.Fuzz(func(t *testing.T, s string, comma bool) {
		if v, err := number(s, comma); err == nil && v != v {
			t.Errorf("%q: got NaN", s)
		}
	})
}

func TestParse(t *testing.T) {
	noon := time.Date(2011, 12, 9, 12, 50, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"2011-12-09 12:50:00": noon, "2011-12-09T13:50:00+01:00": noon, "2011-12-09T12:50:00Z": noon, "2011-12-09 12:50": noon,
		"1323435000": noon, "1323435000000": noon, "1323435000000000": noon, "1323435000.5": noon.Add(500 * time.Millisecond),
		"2011-12-09": noon.Truncate(24 * time.Hour), "20111209": noon.Truncate(24 * time.Hour),
	} {
		var p times
		if got, err := p.parse(s); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p := times{zone: berlin}
	if got, err := p.parse("2011-12-09 13:50:00"); err != nil || !got.Equal(noon) {
		t.Errorf("in Berlin: got %v, %v, want %v", got, err, noon)
	}
	for _, c := range []struct {
		s     string
		comma bool
		want  float64
		ok    bool
	}{
		{"1,234.5", false, 1234.5, true}, {"1.234,5", true, 1234.5, true}, {"2,55", false, 0, false}, {"2,55", true, 2.55, true},
		{"-3", false, -3, true}, {"1 000", false, 1000, true}, {"NaN", false, 0, false}, {"1e3", false, 1000, true}, {"", false, 0, false},
	} {
		if got, err := number(c.s, c.comma); got != c.want || (err == nil) != c.ok {
			t.Errorf("%q (comma %v): got %v, %v, want %v", c.s, c.comma, got, err, c.want)
		}
	}
}

func TestEncodings(t *testing.T) {
	const latin = "u,t,title\n1,2011-01-01,Caf\xe9 \x80\n"
	for encoding, want := range map[string]string{"": "", "windows-1252": "Café €", "latin-1": "Café \u0080"} {
		s := &stream{under: io.NopCloser(bytes.NewReader([]byte(latin)))}
		r, err := textReader("csv", Format{Encoding: encoding}, bufio.NewReader(s), s)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Bind([]string{"title"}); err != nil {
			t.Fatal(err)
		}
		var row Row
		err = r.Next(&row)
		if want == "" {
			var bad *RowError
			if !errors.As(err, &bad) || bad.Line != 2 || bad.Column != "title" {
				t.Errorf("utf-8: got %v, want line 2, column title refused", err)
			}
			continue
		}
		if err != nil || row.Values[0] != want {
			t.Errorf("%s: got %q, %v, want %q", encoding, row.Values, err, want)
		}
	}
}
