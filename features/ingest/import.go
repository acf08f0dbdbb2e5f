package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Sink takes what an import brings; a *store.Store is one.
type Sink interface {
	Append(ctx context.Context, shop features.ShopID, events []features.Event) ([]store.Appended, error)
	PutItems(ctx context.Context, shop features.ShopID, items []features.Item) error
	PutDead(ctx context.Context, shop features.ShopID, letters []store.DeadLetter) error
	Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
}

var _ Sink = (*store.Store)(nil)

// Options says how a source is imported. Only Mapping is needed.
type Options struct {
	Shop        features.ShopID // "": features.DefaultShop
	Mapping     Mapping
	Rules       []Rule           // run after those of the package; made anew for every import
	Sidecar     io.Writer        // takes the refused rows as JSON lines in place of the dead letters
	Quarantine  []string         // kinds of flagged shoppers, Bot and Bulk, whose rows are refused and so kept out of training
	Prices      string           // what is done about prices far from the usual: NotePrices, CutPrices or RefusePrices; "": NotePrices
	NoItems     bool             // leave the catalogue alone
	ItemMarkets bool             // an item is sold only in the markets the rows name
	Clock       func() time.Time // nil: time.Now
	Progress    func(Progress)   // called now and then, and at the end
}

// Progress is how far an import is.
type Progress struct {
	Pass, Passes int   // the source is read twice: measured, then imported
	Rows         int64 // of this pass
	Done, Total  int64 // of this pass, in bytes or rows of the source
}

const (
	batchRows     = 1000
	progressEvery = 5000
	passes        = 2
)

// Import reads the source, cleans it and stores what is kept, in the order of
// its rows. The id of an event is derived from the source's name and the row,
// so that importing the source again stores nothing anew; an import that was
// interrupted is completed by running it again. Memory grows by about 100 bytes
// a row for finding duplicates and returns. Errors name the source and the line.
func Import(ctx context.Context, src Source, sink Sink, o Options) (Report, error) {
	if o.Shop == "" {
		o.Shop = features.DefaultShop
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if err := o.Mapping.Check(); err != nil {
		return Report{}, err
	}
	switch o.Prices {
	case "", NotePrices, CutPrices, RefusePrices:
	default:
		return Report{}, fmt.Errorf("prices far from the usual: %q: expected %s, %s or %s", o.Prices, NotePrices, CutPrices, RefusePrices)
	}
	known := &learnt{flags: flags{}, lines: newPriceLines(&o.Mapping)}
	measured, shoppers, asked := quantities{}, buyers{}, costs{}
	first := &pass{src: src, o: &o, number: 1, known: known, kept: func(rec *Record, _ *Row) error {
		measured.add(rec.Event.Quantity)
		shoppers.add(rec)
		asked.add(rec)
		return nil
	}}
	if err := first.run(ctx); err != nil {
		return Report{}, fmt.Errorf("import %s: %w", src.Name(), err)
	}
	known.limit = measured.limit()
	known.prices = asked.limits()
	known.lines.learnt()
	found := shoppers.flagged()
	known.flags.set(found)
	w, err := newStoring(ctx, src, sink, &o)
	if err != nil {
		return Report{}, fmt.Errorf("import %s: %w", src.Name(), err)
	}
	second := &pass{src: src, o: &o, number: 2, known: known, kept: w.keep, refused: w.refuse}
	if err := second.run(ctx); err != nil {
		return second.report, fmt.Errorf("import %s: %w", src.Name(), err)
	}
	if err := w.finish(&second.report); err != nil {
		return second.report, fmt.Errorf("import %s: %w", src.Name(), err)
	}
	second.report.Limit = known.limit.Quantity
	for i := range found {
		found[i].Subject = w.pseudonym(found[i].id)
	}
	second.report.Buyers = found
	return second.report, nil
}

// learnt is what the first pass measured, for the rules of the second; in the
// first it knows nothing yet.
type learnt struct {
	limit  Limit
	prices map[offer]priceLimits
	flags  flags
	lines  *priceLines
}

// pass reads a source once and lets the rules judge each row.
type pass struct {
	src     Source
	o       *Options
	number  int
	known   *learnt
	kept    func(*Record, *Row) error
	refused func(d *decoder, row *Row, rec *Record, rule, reason string) error
	report  Report
}

// unreadable is the rule of rows that cannot be decoded.
const unreadable = "unreadable"

func (p *pass) run(ctx context.Context) error {
	in, err := p.src.Open()
	if err != nil {
		return err
	}
	return errors.Join(p.read(ctx, in), in.Close())
}

func (p *pass) read(ctx context.Context, in Reader) error {
	d := newDecoder(&p.o.Mapping)
	if err := in.Bind(d.columns); err != nil {
		return err
	}
	all := rules(&p.o.Mapping, p.o, p.known)
	p.report = Report{Source: p.src.Name(), Rules: make([]RuleReport, 1, len(all)+1)}
	p.report.Rules[0] = RuleReport{Name: unreadable, Description: "rows that cannot be read as the columns say"}
	for _, r := range all {
		p.report.Rules = append(p.report.Rules, RuleReport{Name: r.Name(), Description: r.Description()})
	}
	twins := map[rowHash]int32{}
	var row Row
	var rec Record
	for {
		if p.report.Rows%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			p.progress(in)
		}
		err := in.Next(&row)
		if errors.Is(err, io.EOF) {
			p.progress(in)
			return nil
		}
		if err == nil {
			err = d.decode(&row, &rec)
		}
		p.report.Rows++
		var bad *RowError
		if errors.As(err, &bad) {
			rec.Line = bad.Line
			if err := p.refuse(d, &row, &rec, 0, bad.text()); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		rec.hash = hashRow(row.Content)
		rec.Twin = int(twins[rec.hash])
		twins[rec.hash]++
		if err := p.judge(d, all, &row, &rec); err != nil {
			return fmt.Errorf("line %d: %w", rec.Line, err)
		}
	}
}

func (p *pass) judge(d *decoder, all []Rule, row *Row, rec *Record) error {
	for i, r := range all {
		effect, reason := r.Apply(rec)
		switch effect {
		case Kept:
		case Refused:
			return p.refuse(d, row, rec, i+1, reason)
		default:
			p.report.Rules[i+1].count(effect, rec.Line, reason)
		}
	}
	p.report.Kept++
	if t := rec.Event.Time; p.report.From.IsZero() || t.Before(p.report.From) {
		p.report.From = t
	}
	if t := rec.Event.Time; t.After(p.report.To) {
		p.report.To = t
	}
	return p.kept(rec, row)
}

func (p *pass) refuse(d *decoder, row *Row, rec *Record, rule int, reason string) error {
	p.report.Refused++
	p.report.Rules[rule].count(Refused, rec.Line, reason)
	if p.refused == nil {
		return nil
	}
	return p.refused(d, row, rec, p.report.Rules[rule].Name, reason)
}

func (p *pass) progress(in Reader) {
	if p.o.Progress == nil {
		return
	}
	done, total := in.Progress()
	p.o.Progress(Progress{Pass: p.number, Passes: passes, Rows: p.report.Rows, Done: done, Total: total})
}

// storing hands rows to the sink in batches.
type storing struct {
	ctx        context.Context
	src        Source
	sink       Sink
	o          *Options
	names      *features.Pseudonyms
	keys       map[string]features.UserKey
	users      map[features.UserKey]struct{}
	items      catalogue
	events     []features.Event
	dead       []store.DeadLetter
	stored     int64
	duplicates int64
}

func newStoring(ctx context.Context, src Source, sink Sink, o *Options) (*storing, error) {
	names, err := sink.Pseudonyms(ctx, o.Shop)
	if err != nil {
		return nil, err
	}
	return &storing{ctx: ctx, src: src, sink: sink, o: o, names: names, users: map[features.UserKey]struct{}{},
		keys: map[string]features.UserKey{}}, nil
}

func (w *storing) user(id string) features.UserKey {
	k, ok := w.keys[id]
	if !ok {
		k = w.names.User(id)
		w.keys[id] = k
	}
	return k
}

// pseudonym is the key of a shopper as subjectOf names them.
func (w *storing) pseudonym(id string) string {
	if id[0] == 'u' {
		return w.user(id[1:]).String()
	}
	return w.names.Session(id[1:]).String()
}

func (w *storing) keep(rec *Record, _ *Row) error {
	e := rec.Event
	e.User, e.Session = w.user(rec.User), w.names.Session(rec.Session)
	if e.ID == "" {
		e.ID = w.eventID(rec)
	}
	w.users[e.Subject()] = struct{}{}
	w.items.add(rec)
	w.events = append(w.events, e)
	if len(w.events) < batchRows {
		return nil
	}
	return w.flush()
}

// eventID is the same for the same row of the same source.
func (w *storing) eventID(rec *Record) string {
	h := sha256.New()
	h.Write([]byte(w.src.Name()))
	h.Write([]byte{0})
	h.Write(rec.hash[:])
	h.Write(strconv.AppendInt(nil, int64(rec.Twin), 10))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// refusedRow is a line of the sidecar.
type refusedRow struct {
	Source string          `json:"source"`
	Line   int64           `json:"line"`
	Rule   string          `json:"rule"`
	Reason string          `json:"reason"`
	Row    json.RawMessage `json:"row"`
}

func (w *storing) refuse(d *decoder, row *Row, rec *Record, rule, reason string) error {
	payload := d.payload(row)
	if w.o.Sidecar != nil {
		line, err := json.Marshal(refusedRow{w.src.Name(), rec.Line, rule, reason, payload})
		if err != nil {
			return err
		}
		_, err = w.o.Sidecar.Write(append(line, '\n'))
		return err
	}
	source := w.src.Name() + ":" + strconv.FormatInt(rec.Line, 10)
	w.dead = append(w.dead, store.DeadLetter{
		Key: source + ":" + rule, Source: source, Rule: rule, Reason: reason, User: w.user(rec.User), Payload: payload,
	})
	if len(w.dead) < batchRows {
		return nil
	}
	return w.flush()
}

func (w *storing) flush() error {
	if len(w.events) > 0 {
		out, err := w.sink.Append(w.ctx, w.o.Shop, w.events)
		if err != nil {
			return err
		}
		for _, a := range out {
			if a.Duplicate {
				w.duplicates++
			} else {
				w.stored++
			}
		}
		w.events = w.events[:0]
	}
	if len(w.dead) > 0 {
		if err := w.sink.PutDead(w.ctx, w.o.Shop, w.dead); err != nil {
			return err
		}
		w.dead = w.dead[:0]
	}
	return nil
}

func (w *storing) finish(r *Report) error {
	if err := w.flush(); err != nil {
		return err
	}
	items := w.items.list(w.o.ItemMarkets)
	r.Stored, r.Duplicates, r.Users, r.Items = w.stored, w.duplicates, len(w.users), len(items)
	if w.o.NoItems {
		return nil
	}
	for from := 0; from < len(items); from += batchRows {
		if err := w.sink.PutItems(w.ctx, w.o.Shop, items[from:min(from+batchRows, len(items))]); err != nil {
			return err
		}
	}
	return nil
}
