package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest/footer"
	"github.com/attune-rec/attune/features/pace"
)

// itemRecord is a line of items.parquet. Maps are lists ordered by key, so that
// equal items give equal files. Times are kept to the microsecond.
type itemRecord struct {
	Row         int32           `parquet:"row"`
	ID          string          `parquet:"id"`
	Kind        string          `parquet:"kind,dict"`
	Title       string          `parquet:"title"`
	Description string          `parquet:"description"`
	Language    string          `parquet:"language,dict"`
	Variants    []variantRecord `parquet:"variants,list"`
	Category    []string        `parquet:"category,list"`
	Brand       string          `parquet:"brand,dict"`
	Seller      string          `parquet:"seller,dict"`
	Group       string          `parquet:"group"`
	Markets     []string        `parquet:"markets,list"`
	Prices      []moneyRecord   `parquet:"prices,list"`
	ListPrices  []moneyRecord   `parquet:"list_prices,list"`
	Costs       []moneyRecord   `parquet:"costs,list"`
	Stock       []stockRecord   `parquet:"stock,list"`
	Tags        []string        `parquet:"tags,list"`
	Attributes  []pairRecord    `parquet:"attributes,list"`
	Images      []string        `parquet:"images,list"`
	Links       []string        `parquet:"links,list"`
	SaleStart   *int64          `parquet:"sale_start,optional,timestamp(microsecond)"`
	SaleEnd     *int64          `parquet:"sale_end,optional,timestamp(microsecond)"`
	MinAge      int32           `parquet:"min_age"`
	Days        int32           `parquet:"days"`
	Rating      float32         `parquet:"rating"`
	ReturnRate  float32         `parquet:"return_rate"`
	Sales       int64           `parquet:"sales"`
	Hidden      bool            `parquet:"hidden"`
	Sponsor     string          `parquet:"sponsor"`
	Created     *int64          `parquet:"created,optional,timestamp(microsecond)"`
	Updated     *int64          `parquet:"updated,optional,timestamp(microsecond)"`
}

type variantRecord struct {
	Language    string `parquet:"language"`
	Title       string `parquet:"title"`
	Description string `parquet:"description"`
}

type moneyRecord struct {
	Market   string `parquet:"market"`
	Micros   int64  `parquet:"micros"`
	Currency string `parquet:"currency"`
}

type stockRecord struct {
	Market string `parquet:"market"`
	Pieces int32  `parquet:"pieces"`
}

type pairRecord struct {
	Name  string `parquet:"name"`
	Value string `parquet:"value"`
}

// WriteItems writes the item table of a release: one line an item, in row order.
func WriteItems(w io.Writer, items []features.Item) error {
	pw := parquet.NewGenericWriter[itemRecord](w, parquet.Compression(&parquet.Zstd))
	batch := make([]itemRecord, 0, 1024)
	for i := range items {
		batch = append(batch, recordOf(features.Row(i), &items[i]))
		if len(batch) == cap(batch) || i == len(items)-1 {
			if _, err := pw.Write(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return pw.Close()
}

// readAtOnce is the lines decoded at a stretch: about half a millisecond.
const readAtOnce = 128

// ReadItems reads what WriteItems wrote. Empty lists and maps come back nil,
// times in UTC.
func ReadItems(b []byte) ([]features.Item, error) { return readItems(b, pace.Of(context.Background())) }

func readItems(b []byte, job *pace.Job) (items []features.Item, err error) {
	defer func() {
		if p := recover(); p != nil { // a decoder of others must not end the program
			items, err = nil, fmt.Errorf("decode: %v", p)
		}
	}()
	if err := footer.Check(bytes.NewReader(b), int64(len(b))); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true)) // what is not needed makes no room for what it claims
	if err != nil {
		return nil, err
	}
	if err := sameColumns(f.Schema()); err != nil {
		return nil, err
	}
	if err := footer.Pages(bytes.NewReader(b), int64(len(b)), f.Metadata()); err != nil {
		return nil, err
	}
	r := parquet.NewGenericReader[itemRecord](f)
	defer r.Close()
	if r.NumRows() < 0 || r.NumRows() > 1<<31-1 {
		return nil, fmt.Errorf("%d rows: expected fewer than 2^31", r.NumRows())
	}
	items = make([]features.Item, 0, min(r.NumRows(), 1<<17))         // more where there are more: the number is the file's own claim
	batch := make([]itemRecord, min(max(r.NumRows(), 1), readAtOnce)) // the reader asks each column for every row that a file lacks
	for {
		clear(batch)
		n, err := r.Read(batch)
		for i := range batch[:n] {
			if int(batch[i].Row) != len(items) {
				return nil, fmt.Errorf("line %d has row %d: expected rows in order from 0", len(items), batch[i].Row)
			}
			items = append(items, batch[i].item())
		}
		job.Look()
		if errors.Is(err, io.EOF) {
			return items, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// later are columns that tables of before do not have: they read as nothing.
var later = []string{"sales"} //nolint:gochecknoglobals // a table

// sameColumns reports a table that lacks a column or has it in another shape.
func sameColumns(s *parquet.Schema) error {
	for _, want := range parquet.SchemaOf(itemRecord{}).Columns() {
		if _, ok := s.Lookup(want...); !ok && !slices.Contains(later, want[0]) {
			return fmt.Errorf("column %v is missing", want)
		}
	}
	return nil
}

func recordOf(row features.Row, it *features.Item) itemRecord {
	return itemRecord{
		Row: int32(row), ID: it.ID, Kind: string(it.Kind), Title: it.Title, Description: it.Description, Language: it.Language,
		Variants: listOf(it.Variants, func(k string, v features.Text) variantRecord { return variantRecord{k, v.Title, v.Description} }),
		Category: it.Category, Brand: it.Brand, Seller: it.Seller, Group: it.Group, Markets: it.Markets,
		Prices: listOf(it.Prices, money), ListPrices: listOf(it.ListPrices, money), Costs: listOf(it.Costs, money),
		Stock: listOf(it.Stock, func(k string, v int32) stockRecord { return stockRecord{k, v} }),
		Tags:  it.Tags, Attributes: listOf(it.Attributes, func(k, v string) pairRecord { return pairRecord{k, v} }),
		Images: it.Images, Links: it.Links, SaleStart: micros(it.SaleStart), SaleEnd: micros(it.SaleEnd),
		MinAge: it.MinAge, Days: it.Days, Rating: it.Rating, ReturnRate: it.ReturnRate, Sales: it.Sales, Hidden: it.Hidden, Sponsor: it.Sponsor,
		Created: micros(it.Created), Updated: micros(it.Updated),
	}
}

func (r *itemRecord) item() features.Item {
	return features.Item{
		ID: r.ID, Kind: features.ItemKind(r.Kind), Title: r.Title, Description: r.Description, Language: r.Language,
		Variants: mapOf(r.Variants, func(v variantRecord) (string, features.Text) {
			return v.Language, features.Text{Title: v.Title, Description: v.Description}
		}),
		Category: some(r.Category), Brand: r.Brand, Seller: r.Seller, Group: r.Group, Markets: some(r.Markets),
		Prices: mapOf(r.Prices, moneyRecord.entry), ListPrices: mapOf(r.ListPrices, moneyRecord.entry), Costs: mapOf(r.Costs, moneyRecord.entry),
		Stock: mapOf(r.Stock, func(v stockRecord) (string, int32) { return v.Market, v.Pieces }),
		Tags:  some(r.Tags), Attributes: mapOf(r.Attributes, func(v pairRecord) (string, string) { return v.Name, v.Value }),
		Images: some(r.Images), Links: some(r.Links), SaleStart: timeOf(r.SaleStart), SaleEnd: timeOf(r.SaleEnd),
		MinAge: r.MinAge, Days: r.Days, Rating: r.Rating, ReturnRate: r.ReturnRate, Sales: r.Sales, Hidden: r.Hidden, Sponsor: r.Sponsor,
		Created: timeOf(r.Created), Updated: timeOf(r.Updated),
	}
}

func money(market string, m features.Money) moneyRecord {
	return moneyRecord{market, m.Micros, m.Currency}
}

func (m moneyRecord) entry() (string, features.Money) {
	return m.Market, features.Money{Micros: m.Micros, Currency: m.Currency}
}

func listOf[V, R any](m map[string]V, f func(string, V) R) []R {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var out []R
	for _, k := range keys {
		out = append(out, f(k, m[k]))
	}
	return out
}

func mapOf[V, R any](list []R, f func(R) (string, V)) map[string]V {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]V, len(list))
	for _, r := range list {
		k, v := f(r)
		m[k] = v
	}
	return m
}

// some copies a list out of the reader's batch; nil when it is empty.
func some(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return slices.Clone(list)
}

func micros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	us := t.UnixMicro()
	return &us
}

func timeOf(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return time.UnixMicro(*us).UTC()
}
