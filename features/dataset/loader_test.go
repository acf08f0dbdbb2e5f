package dataset

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// written is a dataset as "user: item item ..." lines.
func written(d *Dataset) string {
	var b strings.Builder
	for u, name := range d.Users {
		b.WriteString(name + ":")
		for _, it := range d.History(u) {
			b.WriteString(" " + d.Items[it.Row])
		}
		b.WriteString("\n")
	}
	return b.String()
}

func read(t *testing.T, l *Loader, text string) *Dataset {
	t.Helper()
	rows, err := l.Read("file", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d := l.Dataset(rows)
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFormats(t *testing.T) {
	for name, c := range map[string]struct {
		format Format
		text   string
		want   string
	}{
		"adjacency":            {Adjacency, "0 5 6\n1\n\n2 6\n0 7\n", "0: 5 6 7\n1:\n2: 6\n"},
		"adjacency by tab":     {Adjacency, "a\tx\ty\r\nb\tx", "a: x y\nb: x\n"},
		"sequences":            {Sequences, "u 3 1 2 1\n", "u: 3 1 2 1\n"},
		"counted":              {Counted, "2 7 8\n0 \n1 7\n", "0: 7 8\n1:\n2: 7\n"},
		"pairs by tab":         {Pairs, "1\t10\n2\t11\n1\t12\n", "1: 10 12\n2: 11\n"},
		"pairs by comma":       {Pairs, "1,10\n2, 11\n", "1: 10\n2: 11\n"},
		"pairs by blank":       {Pairs, "1  10\n 2 11 \n", "1: 10\n2: 11\n"},
		"pairs by colons":      {Pairs, "1::10::5::978300760\n1::11::3::978300700\n", "1: 11 10\n"},
		"pairs with times":     {Pairs, "1 10 4 30\n2 12 4 1\n1 11 4 20\n1 12 4 20\n", "1: 11 12 10\n2: 12\n"},
		"pairs with header":    {Pairs, "userID,movieID\n1,10\n", "1: 10\n"},
		"pairs, named columns": {Pairs, "item,ts,user\n10,20,a\n11,10,a\n", "a: 11 10\n"},
		"pairs with mark":      {Pairs, "\xef\xbb\xbf1,10\n", "1: 10\n"},
		"names keep spelling":  {Pairs, "01 1\n1 01\n1 99999999999\n+1 1\n", "01: 1\n1: 01 99999999999\n+1: 1\n"},
		"large numbers":        {Pairs, "1 900000000\n1 5000000\n1 900000000\n", "1: 900000000 5000000 900000000\n"},
		"events":               {Events, "item,user,time\nmug,a,2011-12-09 12:50:00\nlamp,a,2011-12-09 12:49:00\nmug,,2011-12-09 12:50:00\n,a,2011-12-09 12:50:00\n", "a: lamp mug\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := written(read(t, &Loader{Format: c.format}, c.text)); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestPairsFields(t *testing.T) {
	d := read(t, &Loader{Format: Pairs}, "1\t10\t4.5\t978300760\n1\t11\t-2\t978300761.5\n")
	want := []features.Interaction{
		{Row: 0, Type: features.Rating, Value: 4.5, TimeMS: 978300760000, Quantity: 1},
		{Row: 1, Type: features.Rating, Value: -2, TimeMS: 978300761500, Quantity: 1},
	}
	for i, w := range want {
		if d.Log[i] != w {
			t.Errorf("got %+v, want %+v", d.Log[i], w)
		}
	}
	if d := read(t, &Loader{Format: Pairs}, "1 10\n"); d.Log[0].Type != features.Purchase {
		t.Errorf("without ratings: got type %s, want purchase", d.Log[0].Type)
	}
}

func TestEvents(t *testing.T) {
	l := &Loader{Format: Events, Columns: Columns{
		User: "CustomerID", Item: "StockCode", Time: "InvoiceDate", Quantity: "Quantity", Price: "UnitPrice", Market: "Country", Missing: []string{"0.0"},
	}}
	d := read(t, l, `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,85123A,"HOLDER, ""WHITE""
two lines",6,2010-12-01 08:26:00,2.55,17850,United Kingdom
2,71053,LANTERN,-2,2010-12-02 08:26:00,3.39,17850,France
3,71053,LANTERN,1,2010-12-03 08:26:00,3.39,0.0,France
`)
	if len(d.Log) != 2 || l.Skipped != (Skipped{NoUser: 1}) {
		t.Fatalf("got %d events and %+v", len(d.Log), l.Skipped)
	}
	for i, want := range []features.Interaction{
		{Row: 0, Type: features.Purchase, TimeMS: 1291191960000, Quantity: 6, Price: 2.55},
		{Row: 1, Type: features.Return, TimeMS: 1291278360000, Quantity: 2, Price: 3.39},
	} {
		if d.Log[i] != want {
			t.Errorf("got %+v, want %+v", d.Log[i], want)
		}
	}
	if got := d.LastMarket(0); got != "France" {
		t.Errorf("got market %q", got)
	}
	typed := read(t, &Loader{Format: Events}, "user,item,type,value\na,x,rating,4\na,y,view,\n")
	if typed.Log[0].Type != features.Rating || typed.Log[0].Value != 4 || typed.Log[1].Type != features.View {
		t.Errorf("got %+v", typed.Log)
	}
}

func TestErrorsSayWhere(t *testing.T) {
	for _, c := range []struct {
		format Format
		text   string
		want   string // the error begins so
	}{
		{Pairs, "1 2\n3\n", `file:2: got 1 fields in "3": expected 2, as many as the first line has`},
		{Pairs, "1 2 x\n", `file:1: got rating "x": expected a number`},
		{Pairs, "1 2 3 -4\n", `file:1: got time "-4": expected Unix seconds`},
		{Pairs, "1 2 3 4 5\n", `file:1: got 5 fields`},
		{Pairs, "1,\n", `file:1: got an empty user or item`},
		{Pairs, "\n", `file: wrong format: no interaction in it`},
		{Counted, "2 1\n", `file:1: got 1 items: expected 2 items`},
		{Counted, "x 1\n", `file:1: got "x": expected the number of items`},
		{Events, "user,product\na,b\n", `file:1: got columns ["user" "product"]: expected a column "item" for the item; name it with --columns item=`},
		{Events, "user,item,time\na,b,yesterday\n", `file:2: got time "yesterday": expected a time such as`},
		{Events, "user,item,price\na,b,dear\n", `file:2: got price "dear": expected a number`},
		{Events, "user,item,type\na,b,bought\n", `file:2: got type "bought": expected view, cart_add`},
		{Events, "user,item\na,b\na\n", `file:3: got 1 fields: expected 2, as many as the header has`},
		{"parquet", "", `unknown format "parquet": expected one of`},
	} {
		_, err := (&Loader{Format: c.format}).Read("file", strings.NewReader(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s %q: got %v, want %s", c.format, c.text, err, c.want)
		}
	}
	var at *FormatError
	_, err := (&Loader{Format: Counted}).Read("file", strings.NewReader("0\nx\n"))
	if !errors.As(err, &at) || at.Line != 2 || !errors.Is(err, ErrFormat) {
		t.Errorf("got %v, want a FormatError at line 2", err)
	}
}

func TestProblemsAreToldAndLeftOut(t *testing.T) {
	for format, text := range map[Format]string{
		Pairs:   "1 2 3\n1 4 x\n1\n1 5 3\n",
		Counted: "1 2\n3 1\nx\n1 5\n",
		Events:  "user,item,time\n1,2,2011-01-01\n1,3,never\n1\n1,5,2011-01-02\n",
	} {
		var told []string
		l := &Loader{Format: format, Problem: func(e *FormatError) error { told = append(told, strconv.Itoa(e.Line)); return nil }}
		rows, err := l.Read("file", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		first := 2
		if format == Events {
			first = 3
		}
		if got, want := strings.Join(told, " "), strconv.Itoa(first)+" "+strconv.Itoa(first+1); got != want {
			t.Errorf("%s: got problems at lines %s, want %s", format, got, want)
		}
		d := l.Dataset(rows)
		if err := d.Validate(); err != nil || len(d.Log) != 2 || d.Items[d.Log[len(d.Log)-1].Row] != "5" {
			t.Errorf("%s: got %s and %v", format, written(d), err)
		}
	}
}

func TestNegatives(t *testing.T) {
	l := &Loader{Format: Pairs}
	rows, err := l.Read("train", strings.NewReader("0 5\n1 6\n"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.readNegatives("neg", strings.NewReader("(0,6)\t5\t9\n\n( 1 , 5 ) 9 5\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := l.Dataset(rows)
	if n.Len() != 2 || n.User[1] != 1 || d.Items[n.Positive[1]] != "5" || len(n.Of(1)) != 2 || d.Items[n.Of(0)[1]] != "9" {
		t.Errorf("got %+v over items %v", n, d.Items)
	}
	for _, bad := range []string{"0,6 5\n", "(0) 5\n", "(0,6)\n", "(,6) 5\n"} {
		if _, err := l.readNegatives("neg", strings.NewReader(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: got %v, want ErrFormat", bad, err)
		}
	}
}

func TestPacked(t *testing.T) {
	const text = "1 2\n1 3\n"
	dir := t.TempDir()
	var gz, xzed bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write([]byte(text))
	g.Close()
	x, err := xz.NewWriter(&xzed)
	if err != nil {
		t.Fatal(err)
	}
	x.Write([]byte(text))
	x.Close()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"a.txt": []byte(text), "a.gz": gz.Bytes(), "a.xz": xzed.Bytes(), "a.zst": z.EncodeAll([]byte(text), nil)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l := &Loader{Format: Pairs}
		rows, err := l.Load(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := written(l.Dataset(rows)); got != "1: 2 3\n" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	wrong := filepath.Join(dir, "plain.xz")
	if err := os.WriteFile(wrong, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Loader{Format: Pairs}).Load(wrong); err == nil || !strings.Contains(err.Error(), "is it what its extension says") {
		t.Errorf("plain text called .xz: got %v", err)
	}
}

func TestNamesAgainstMap(t *testing.T) {
	var x names
	twin := map[string]int32{}
	for i := range 30_000 {
		name := strconv.Itoa(i * 7919 % 20_011 * (1 + i%3*100_000) % 2_000_000_000)
		if i%11 == 0 {
			name = "sku-" + name
		}
		want, ok := twin[name]
		if !ok {
			want = int32(len(twin))
			twin[name] = want
		}
		if got := x.add(name); got != want {
			t.Fatalf("%q: got %d, want %d", name, got, want)
		}
		if x.list[want] != name {
			t.Fatalf("place %d: got %q, want %q", want, x.list[want], name)
		}
	}
}

func fuzz(f *testing.F, format Format, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &Loader{Format: format}
		rows, err := l.Read("file", bytes.NewReader(data))
		if err != nil {
			return
		}
		d := l.Dataset(rows)
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		if rows.Len() != len(d.Log) || rows.Len() == 0 {
			t.Fatalf("got %d interactions of %d rows", len(d.Log), rows.Len())
		}
	})
}

func FuzzAdjacency(f *testing.F) { fuzz(f, Adjacency, "0 1 2\n1\n", "a\tb\r\n") }

func FuzzCounted(f *testing.F) { fuzz(f, Counted, "2 1 2\n0\n") }

func FuzzPairs(f *testing.F) {
	fuzz(f, Pairs, "1 2\n", "1::2::3::4\n", "user,item,ts\n1,2,3\n", "a\tb\t4.5\t978300760\n", "1;2;-0.\n", "1,2,1e5\n")
}

func FuzzEvents(f *testing.F) {
	fuzz(f, Events, "user,item,time,type,quantity,price,value,market\na,b,2011-12-09,view,1,2,3,DE\n", "user,item\n\"a\n\",b\n")
}

func FuzzNegatives(f *testing.F) {
	f.Add([]byte("(0,1)\t2\t3\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &Loader{}
		n, err := l.readNegatives("file", bytes.NewReader(data))
		if err != nil {
			return
		}
		for i := range n.Len() {
			if len(n.Of(i)) == 0 || int(n.Positive[i]) >= len(l.items.list) || int(n.User[i]) >= len(l.users.list) {
				t.Fatalf("line %d: got %v of %v", i, n.Of(i), n)
			}
		}
	})
}
