package release

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/attune-rec/attune/features"
)

var newGolden = flag.Bool("new-golden", false, "publish testdata/format-<current> anew; only for a format that was never released")

// fullItem has every field set.
func fullItem(n int) features.Item {
	at := time.Date(2026, 11, 1, 12, 0, 0, 123456e3, time.UTC)
	money := map[string]features.Money{"": features.MoneyOf(9.5, "EUR"), "GB": {Micros: int64(n), Currency: "GBP"}}
	return features.Item{
		ID: "item/" + strconv.Itoa(n), Kind: features.Bundle, Title: "Tasse", Description: "Blau & weiß, 茶杯", Language: "de",
		Variants: map[string]features.Text{"en": {Title: "Mug", Description: "blue"}, "zh": {Title: "茶杯"}},
		Category: []string{"Home", "Kitchen", "Mugs"}, Brand: "Acme", Seller: "shop", Group: "g1", Markets: []string{"DE", "GB"},
		Prices: money, ListPrices: money, Costs: money, Stock: map[string]int32{"": 0, "DE": 7},
		Tags: []string{"blue", "gift"}, Attributes: map[string]string{"colour": "blue", "size": ""}, Images: []string{"https://example.org/a.png"}, Links: []string{"item/0"},
		SaleStart: at, SaleEnd: at.Add(time.Hour), MinAge: 18, Days: 3, Rating: 4.5, ReturnRate: .125, Sales: 1 << 40, Hidden: true, Sponsor: "acme", Created: at, Updated: at.Add(time.Microsecond),
	}
}

func goldenDraft() Draft {
	d := toyDraft(4, 10)
	d.Items[1] = fullItem(1)
	return d
}

func TestItemTableKeepsEveryField(t *testing.T) {
	full := fullItem(1)
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("field %s is not set: the test would not miss it", v.Type().Field(i).Name)
		}
	}
	st := NewFolder(t.TempDir())
	want := goldenDraft()
	r := opened(t, st, published(t, st, want))
	if !reflect.DeepEqual(r.Items, want.Items) {
		t.Fatalf("got %+v, want %+v", r.Items, want.Items)
	}
}

func TestManyItems(t *testing.T) {
	d := toyDraft(5000, 0)
	for i := range d.Items {
		if i%3 == 0 {
			id := d.Items[i].ID
			d.Items[i] = fullItem(i)
			d.Items[i].ID = id
		}
	}
	st := NewFolder(t.TempDir())
	r := opened(t, st, published(t, st, d))
	if !reflect.DeepEqual(r.Items, d.Items) {
		t.Fatal("got other items than were published")
	}
}

// TestGoldenReleases opens a release of every format there ever was.
func TestGoldenReleases(t *testing.T) {
	if *newGolden {
		root := filepath.Join("testdata", "format-"+strconv.Itoa(FormatCurrent))
		if err := os.RemoveAll(root); err != nil {
			t.Fatal(err)
		}
		st := NewFolder(root)
		m := published(t, st, goldenDraft())
		if _, err := Promote(context.Background(), st, m.Shop, m.Version, Change{By: "golden", Time: m.Created}); err != nil {
			t.Fatal(err)
		}
	}
	for format := FormatOldest; format <= FormatCurrent; format++ {
		st := NewFolder(filepath.Join("testdata", "format-"+strconv.Itoa(format)))
		s, err := Current(context.Background(), st, "mugs")
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(context.Background(), st, "mugs", s.Stable, toyKinds)
		if err != nil {
			t.Fatal(err)
		}
		want := goldenDraft()
		if format == 1 {
			want.Items[1].Sales = 0 // a column that came later
		}
		if r.Manifest.Format != format || !reflect.DeepEqual(r.Items, want.Items) || !reflect.DeepEqual(r.Metrics, want.Metrics) || !reflect.DeepEqual(r.Recipes[0].Sources, want.Recipes[0].Sources) {
			t.Errorf("format %d: got %+v %+v %+v, want what was published", format, r.Items, r.Metrics, r.Recipes)
		}
		for _, p := range want.Models {
			m, ok := r.Model(p.Name)
			if !ok {
				t.Fatalf("format %d: model %q is missing", format, p.Name)
			}
			rows := []features.Row{0, 1, 2, 3}
			got, scores := make([]float32, 4), make([]float32, 4)
			m.Score(nil, rows, got)
			p.Model.Score(nil, rows, scores)
			if !reflect.DeepEqual(got, scores) {
				t.Errorf("format %d, model %q: got scores %v, want %v", format, p.Name, got, scores)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func FuzzReadItems(f *testing.F) {
	var b writerTo
	if err := WriteItems(&b, goldenDraft().Items); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(b))
	f.Add([]byte("PAR1PAR1"))
	f.Add([]byte("PAR1"))
	broken := bytes.Clone(b) // the footer holds, the pages do not
	for i := 4; i < len(broken)/4; i++ {
		broken[i] ^= 0xa5
	}
	f.Add(broken)
	for i := 4; i < len(b); i += len(b)/64 + 1 { // one byte of a page, of its header, of the footer
		flipped := bytes.Clone(b)
		flipped[i] ^= 0xff
		f.Add(flipped)
	}
	seed := func(write func(io.Writer) error) {
		var b writerTo
		if err := write(&b); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(b))
	}
	rows := []itemRecord{recordOf(0, &goldenDraft().Items[0]), recordOf(7, &goldenDraft().Items[1])} // 7 is no second row
	seed(func(w io.Writer) error { return parquet.Write(w, rows) })
	type pair struct { // another table
		Row int32  `parquet:"row"`
		ID  string `parquet:"id"`
	}
	seed(func(w io.Writer) error { return parquet.Write(w, []pair{{0, "a"}}) })
	f.Fuzz(func(t *testing.T, b []byte) {
		items, err := ReadItems(b)
		if err != nil && items != nil {
			t.Fatal("got items and an error")
		}
	})
}

// A table is not taken for written when the disk did not take it.
func TestWriteItemsFails(t *testing.T) {
	full := errors.New("no room")
	if err := WriteItems(&failing{err: full}, goldenDraft().Items); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	if err := WriteItems(&failing{room: 100, err: full}, goldenDraft().Items); !errors.Is(err, full) {
		t.Errorf("after 100 bytes: got %v, want %v", err, full)
	}
}

// failing takes room bytes and then none.
type failing struct {
	room int
	err  error
}

func (w *failing) Write(p []byte) (int, error) {
	n := min(len(p), w.room)
	w.room -= n
	if n < len(p) {
		return n, w.err
	}
	return n, nil
}

type writerTo []byte

func (b *writerTo) Write(p []byte) (int, error) { *b = append(*b, p...); return len(p), nil }

func FuzzManifest(f *testing.F) {
	b, err := encode(&Manifest{Format: 1, Shop: "mugs", Version: "20261122T200312.042Z-7f3a"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	whole, err := Publish(context.Background(), NewFolder(f.TempDir()), toyDraft(3, 0))
	if err != nil {
		f.Fatal(err)
	}
	whole.Version = "20261122T200312.042Z-7f3a"
	for _, change := range []func(m *Manifest){
		func(*Manifest) {}, func(m *Manifest) { m.Files = m.Files[1:] }, func(m *Manifest) { m.Models = append(m.Models, m.Models[0]) },
		func(m *Manifest) { m.Format = FormatCurrent + 1 }, func(m *Manifest) { m.Files = append(m.Files, m.Files[0]) },
		func(m *Manifest) { m.Version = "20261122T200312.042Z-7f3b" },
	} {
		m := whole
		m.Files, m.Models = append([]File(nil), whole.Files...), append([]ModelEntry(nil), whole.Models...)
		change(&m)
		if b, err = encode(&m); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, "{}"...))
	}
	f.Add([]byte(`{"format":1,"surprise":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b, manifestSum(b), "mugs", "20261122T200312.042Z-7f3a")
		if err == nil && (m.Shop != "mugs" || m.Format != FormatCurrent) {
			t.Fatalf("got %+v accepted", m)
		}
	})
}
