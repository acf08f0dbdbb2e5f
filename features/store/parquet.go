package store

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest/footer"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// groupRows is how many events a row group of a segment holds: what a scan
// unpacks at once.
const groupRows = 16 << 10

// segmentRow is an event in a segment. Times are Unix milliseconds; text and
// attributes stand as they were encrypted.
type segmentRow struct {
	Seq            int64    `parquet:"seq,delta"`
	ID             string   `parquet:"event_id"`
	Type           string   `parquet:"type,dict"`
	User           [16]byte `parquet:"user_key"`
	Session        [16]byte `parquet:"session_key"`
	Item           string   `parquet:"item,dict"`
	Time           int64    `parquet:"time,delta,timestamp(millisecond)"`
	Received       int64    `parquet:"received,delta,timestamp(millisecond)"`
	Surface        string   `parquet:"surface,dict"`
	Channel        string   `parquet:"channel,dict"`
	Device         string   `parquet:"device,dict"`
	Market         string   `parquet:"market,dict"`
	Locale         string   `parquet:"locale,dict"`
	Quantity       int32    `parquet:"quantity,dict"`
	PriceMicros    int64    `parquet:"price_micros"`
	Currency       string   `parquet:"currency,dict"`
	Value          float64  `parquet:"value,dict"`
	Order          string   `parquet:"order_id,dict"`
	Text           []byte   `parquet:"text"`
	Target         string   `parquet:"target,dict"`
	Recommendation string   `parquet:"recommendation"`
	Position       int32    `parquet:"position,dict"`
	Attributes     []byte   `parquet:"attributes"`
}

func rowOf(e *stored) segmentRow {
	return segmentRow{
		Seq: e.Seq, ID: e.ID, Type: e.Type.String(), User: e.User, Session: e.Session, Item: e.Item,
		Time: e.Time.UnixMilli(), Received: e.Received.UnixMilli(), Surface: e.Surface, Channel: e.Channel, Device: e.Device,
		Market: e.Market, Locale: e.Locale, Quantity: e.Quantity, PriceMicros: e.Price.Micros, Currency: e.Price.Currency,
		Value: e.Value, Order: e.Order, Text: e.text, Target: e.Target, Recommendation: e.Recommendation, Position: e.Position,
		Attributes: e.attributes,
	}
}

func newSegmentWriter(w io.Writer, shop features.ShopID) *parquet.GenericWriter[segmentRow] {
	return parquet.NewGenericWriter[segmentRow](w, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.PageBufferSize(32<<10), parquet.MaxRowsPerRowGroup(groupRows),
		parquet.KeyValueMetadata("attune.format", "events/1"), parquet.KeyValueMetadata("attune.shop", string(shop)))
}

// setters put a column's value into an event. A string is taken through in,
// which gives the same string for the same bytes.
var setters = map[string]func(*stored, parquet.Value, *interner){
	"seq":            func(e *stored, v parquet.Value, _ *interner) { e.Seq = v.Int64() },
	"event_id":       func(e *stored, v parquet.Value, _ *interner) { e.ID = string(v.ByteArray()) },
	"type":           func(e *stored, v parquet.Value, in *interner) { e.Type = in.eventType(v.ByteArray()) },
	"user_key":       func(e *stored, v parquet.Value, _ *interner) { copy(e.User[:], v.ByteArray()) },
	"session_key":    func(e *stored, v parquet.Value, _ *interner) { copy(e.Session[:], v.ByteArray()) },
	"item":           func(e *stored, v parquet.Value, in *interner) { e.Item = in.string(v.ByteArray()) },
	"time":           func(e *stored, v parquet.Value, _ *interner) { e.Time = time.UnixMilli(v.Int64()).UTC() },
	"received":       func(e *stored, v parquet.Value, _ *interner) { e.Received = time.UnixMilli(v.Int64()).UTC() },
	"surface":        func(e *stored, v parquet.Value, in *interner) { e.Surface = in.string(v.ByteArray()) },
	"channel":        func(e *stored, v parquet.Value, in *interner) { e.Channel = in.string(v.ByteArray()) },
	"device":         func(e *stored, v parquet.Value, in *interner) { e.Device = in.string(v.ByteArray()) },
	"market":         func(e *stored, v parquet.Value, in *interner) { e.Market = in.string(v.ByteArray()) },
	"locale":         func(e *stored, v parquet.Value, in *interner) { e.Locale = in.string(v.ByteArray()) },
	"quantity":       func(e *stored, v parquet.Value, _ *interner) { e.Quantity = v.Int32() },
	"price_micros":   func(e *stored, v parquet.Value, _ *interner) { e.Price.Micros = v.Int64() },
	"currency":       func(e *stored, v parquet.Value, in *interner) { e.Price.Currency = in.string(v.ByteArray()) },
	"value":          func(e *stored, v parquet.Value, _ *interner) { e.Value = v.Double() },
	"order_id":       func(e *stored, v parquet.Value, in *interner) { e.Order = in.string(v.ByteArray()) },
	"text":           func(e *stored, v parquet.Value, _ *interner) { e.text = clone(v.ByteArray()) },
	"target":         func(e *stored, v parquet.Value, in *interner) { e.Target = in.string(v.ByteArray()) },
	"recommendation": func(e *stored, v parquet.Value, _ *interner) { e.Recommendation = string(v.ByteArray()) },
	"position":       func(e *stored, v parquet.Value, _ *interner) { e.Position = v.Int32() },
	"attributes":     func(e *stored, v parquet.Value, _ *interner) { e.attributes = clone(v.ByteArray()) },
}

// clone is a copy, nil of nothing.
func clone(b []byte) []byte { return append([]byte(nil), b...) }

// maxInterned bounds what one reading of a segment keeps of repeated strings.
const maxInterned = 1 << 17

// interner gives one string for equal bytes.
type interner struct{ known map[string]string }

func (in *interner) string(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := in.known[string(b)]; ok {
		return s
	}
	if in.known == nil || len(in.known) >= maxInterned {
		in.known = map[string]string{}
	}
	s := string(b)
	in.known[s] = s
	return s
}

func (in *interner) eventType(b []byte) features.EventType {
	t, err := features.ParseEventType(in.string(b))
	if err != nil {
		return features.EventUnknown
	}
	return t
}

// segmentFile is an open segment.
type segmentFile struct {
	shop    features.ShopID
	file    *os.File
	table   *parquet.File
	columns []func(*stored, parquet.Value, *interner)
	in      interner
	values  []parquet.Value
}

func openSegment(shop features.ShopID, path string) (s *segmentFile, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: segment %s: %v", ErrCorrupt, path, p)
		}
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := footer.Check(f, info.Size()); err != nil {
		return nil, fmt.Errorf("%w: segment %s: %w", ErrCorrupt, path, err)
	}
	table, err := parquet.OpenFile(f, info.Size(), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("%w: segment %s: %w", ErrCorrupt, path, err)
	}
	s = &segmentFile{shop: shop, file: f, table: table, values: make([]parquet.Value, 1024)}
	for _, c := range table.Schema().Columns() {
		set := setters[c[0]]
		if set == nil || len(c) != 1 {
			return nil, fmt.Errorf("%w: segment %s has a column %v", ErrCorrupt, path, c)
		}
		s.columns = append(s.columns, set)
	}
	if len(s.columns) != len(setters) {
		return nil, fmt.Errorf("%w: segment %s has %d columns, want %d", ErrCorrupt, path, len(s.columns), len(setters))
	}
	return s, nil
}

func (s *segmentFile) close() error { return s.file.Close() }

// group unpacks a row group, column by column, into dst.
func (s *segmentFile) group(g parquet.RowGroup, dst []stored) (_ []stored, err error) {
	defer s.guard(&err)
	n := int(g.NumRows())
	if cap(dst) < n {
		dst = make([]stored, n)
	}
	dst = dst[:n]
	for i := range dst {
		dst[i] = stored{Event: features.Event{Shop: s.shop}}
	}
	for i, c := range g.ColumnChunks() {
		if err := s.column(c, s.columns[i], dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (s *segmentFile) column(c parquet.ColumnChunk, set func(*stored, parquet.Value, *interner), dst []stored) (err error) {
	pages := c.Pages()
	defer func() {
		if e := pages.Close(); err == nil {
			err = e
		}
	}()
	at := 0
	for at < len(dst) {
		p, err := pages.ReadPage()
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, s.file.Name(), err)
		}
		n, err := s.page(p, set, dst[at:])
		parquet.Release(p)
		if err != nil {
			return err
		}
		at += n
	}
	return nil
}

func (s *segmentFile) page(p parquet.Page, set func(*stored, parquet.Value, *interner), dst []stored) (int, error) {
	n := int(p.NumValues())
	if n > len(dst) {
		return 0, fmt.Errorf("%w: %s: a column has more values than the row group rows", ErrCorrupt, s.file.Name())
	}
	if d := p.Dictionary(); d != nil && d.Len() == 1 {
		v := d.Index(0)
		for i := range n {
			set(&dst[i], v, &s.in)
		}
		return n, nil
	}
	r := p.Values()
	for at := 0; at < n; {
		k, err := r.ReadValues(s.values)
		for i := range min(k, n-at) {
			set(&dst[at+i], s.values[i], &s.in)
		}
		at += k
		if err != nil && at < n {
			return 0, fmt.Errorf("%w: %s: %w", ErrCorrupt, s.file.Name(), err)
		}
	}
	return n, nil
}

// guard turns a panic of the decoder over a damaged file into an error.
func (s *segmentFile) guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %s: %v", ErrCorrupt, s.file.Name(), p)
	}
}

func hexSum(b []byte) string { return hex.EncodeToString(b) }
