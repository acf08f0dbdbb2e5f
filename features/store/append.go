package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
)

// The most that one call may bring, and one field of an event may hold.
const (
	MaxBatch = 10_000
	MaxField = 64 << 10 // bytes
)

// appending is the events of one call on their way.
type appending struct {
	log    *shopLog
	events []stored
	ids    []idHash // valid where the event has an id
	links  [][2]features.UserKey
	out    []Appended
	failed error // why the links were not stored

	stands  []int64 // number of the event that had the id before, 0: none; nil: no id was met
	checked int64   // end of the log when the ids were looked up
}

// Append stores the events of one shop in order and returns, once they are
// durable, what became of each: its number, or the number of the event that had
// its id before. Times are cut to the millisecond; an event without a time of
// arrival has the present one, and one without a time that of its arrival. An
// id is remembered for the dedupe window. The shop is made when it is new.
func (s *Store) Append(ctx context.Context, shop features.ShopID, events []features.Event) ([]Appended, error) {
	out, _, err := s.AppendLinking(ctx, shop, events, nil)
	return out, err
}

// AppendLinking is Append and LinkMany of pairs of alias and user in one
// transaction, so that both wait for one fsync. Links that could not be stored
// leave the events as they are: unlinked says why.
func (s *Store) AppendLinking(ctx context.Context, shop features.ShopID, events []features.Event, links [][2]features.UserKey) (out []Appended, unlinked, err error) {
	a, err := s.appending(ctx, shop, events)
	if err != nil || a == nil {
		return nil, nil, err
	}
	a.links = links
	j := &job{events: a}
	if err := s.writer.hand(ctx, j); err != nil {
		return nil, nil, fmt.Errorf("append: %w", err)
	}
	return a.out, a.failed, nil
}

// appending is the events of a call as they are stored; nil when there are none.
func (s *Store) appending(ctx context.Context, shop features.ShopID, events []features.Event) (*appending, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	l, err := s.ensureShop(ctx, shop)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, nil
	}
	if len(events) > MaxBatch {
		return nil, fmt.Errorf("append: %d events in one call: send at most %d", len(events), MaxBatch)
	}
	a := &appending{log: l, events: make([]stored, len(events)), ids: make([]idHash, len(events)), out: make([]Appended, len(events))}
	needs, err := s.Needs(ctx, shop)
	if err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	now := s.now()
	agreed := s.agreed(ctx, shop)
	var private []int // events with something to encrypt
	for i := range events {
		e := &a.events[i]
		e.Event = events[i]
		e.Shop = shop
		if needs != nil {
			given, err := agreed(e.Subject(), e.Market)
			if err != nil {
				return nil, fmt.Errorf("append: %w", err)
			}
			needs.event(&e.Event, given)
		}
		if e.Received.IsZero() {
			e.Received = now
		}
		if e.Time.IsZero() {
			e.Time = e.Received
		}
		if err := checkEvent(&e.Event); err != nil {
			return nil, fmt.Errorf("append: event %d of %d: %w", i+1, len(events), err)
		}
		if e.ID != "" {
			a.ids[i] = hashID(e.ID)
		}
		if e.Text != "" || len(e.Attributes) > 0 {
			private = append(private, i)
		}
	}
	if err := s.encryptEvents(ctx, shop, a.events, private); err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	a.lookUp()
	return a, nil
}

// lookUp looks for the ids in the log as it is, so that the writer has to look
// only at what was stored since. What it cannot look up is left to the writer.
func (a *appending) lookUp() {
	l := a.log
	var maybe []int // places of ids that may be in a segment
	met := func(i int, seq int64) {
		if a.stands == nil {
			a.stands = make([]int64, len(a.events))
		}
		a.stands[i] = seq
	}
	l.mu.RLock()
	a.checked = l.end
	for i := range a.events {
		if a.events[i].ID == "" {
			continue
		}
		if seq, ok := l.findTail(a.ids[i]); ok {
			met(i, seq)
		} else if len(l.segments) > 0 && l.summary.has(a.ids[i].a) {
			maybe = append(maybe, i)
		}
	}
	var segments []*segment
	if len(maybe) > 0 {
		segments = slices.Clone(l.segments)
	}
	l.mu.RUnlock()
	for _, i := range maybe {
		seq, ok, err := l.findIn(segments, a.ids[i])
		if err != nil {
			a.checked = 0
			return
		}
		if ok {
			met(i, seq)
		}
	}
}

func checkEvent(e *features.Event) error {
	if int(e.Type) > len(features.EventTypes()) || e.Type == features.EventUnknown {
		return fmt.Errorf("unknown event type %d", e.Type)
	}
	if y := e.Time.Year(); y < 1900 || y > 9999 {
		return fmt.Errorf("time %s is out of range: expected the years 1900 to 9999", e.Time)
	}
	if math.IsNaN(e.Value) || math.IsInf(e.Value, 0) {
		return fmt.Errorf("value must be a finite number: got %v", e.Value)
	}
	for _, f := range [...]struct{ name, value string }{
		{"id", e.ID}, {"item", e.Item}, {"surface", e.Surface}, {"channel", e.Channel}, {"device", e.Device},
		{"market", e.Market}, {"locale", e.Locale}, {"currency", e.Price.Currency}, {"order", e.Order}, {"text", e.Text},
		{"target", e.Target}, {"recommendation", e.Recommendation},
	} {
		if len(f.value) > MaxField {
			return fmt.Errorf("%s has %d bytes: at most %d are kept", f.name, len(f.value), MaxField)
		}
	}
	return nil
}

// encryptEvents encrypts what the events at the given places have of it.
func (s *Store) encryptEvents(ctx context.Context, shop features.ShopID, events []stored, at []int) error {
	if len(at) == 0 {
		return nil
	}
	people := make([]features.UserKey, len(at))
	for i, k := range at {
		people[i] = events[k].Subject()
	}
	if err := s.keys.ensure(ctx, shop, people); err != nil {
		return err
	}
	for _, k := range at {
		if err := s.encryptEvent(ctx, &events[k]); err != nil {
			return err
		}
	}
	return nil
}

// encryptEvent moves text and attributes to their encrypted form.
func (s *Store) encryptEvent(ctx context.Context, e *stored) (err error) {
	if e.Text != "" {
		if e.text, err = s.keys.encrypt(ctx, e.Shop, e.Subject(), "text", []byte(e.Text)); err != nil {
			return err
		}
		e.Text = ""
	}
	if len(e.Attributes) > 0 {
		plain, err := json.Marshal(e.Attributes)
		if err != nil {
			return err
		}
		if len(plain) > MaxField {
			return fmt.Errorf("attributes have %d bytes: at most %d are kept", len(plain), MaxField)
		}
		if e.attributes, err = s.keys.encrypt(ctx, e.Shop, e.Subject(), "attributes", plain); err != nil {
			return err
		}
	}
	e.Attributes = nil
	return nil
}

// decryptEvent moves them back. What a destroyed key had encrypted is gone.
func (s *Store) decryptEvent(ctx context.Context, e *stored) error {
	if len(e.text) > 0 {
		plain, err := s.keys.decrypt(ctx, e.Shop, e.Subject(), "text", e.text)
		if err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		e.Text = string(plain)
	}
	if len(e.attributes) > 0 {
		plain, err := s.keys.decrypt(ctx, e.Shop, e.Subject(), "attributes", e.attributes)
		if err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		if len(plain) > 0 {
			if err := json.Unmarshal(plain, &e.Attributes); err != nil {
				return fmt.Errorf("%w: attributes of event %d: %w", ErrCorrupt, e.Seq, err)
			}
		}
	}
	return nil
}

// pendingLog is what a transaction adds to one shop's log. Nothing of it shows
// before the commit.
type pendingLog struct {
	log    *shopLog
	end    int64
	ids    map[idHash]int64
	events []*stored
	hashes []*idHash
	calls  []*appending // those that bring links
	links  int

	linked   [][2]features.UserKey // links that were stored, to wait
	linkedAt int64                 // milliseconds
}

func (l *shopLog) pending() *pendingLog {
	return &pendingLog{log: l, end: l.end, ids: map[idHash]int64{}}
}

// take gives the events of one call their places.
func (p *pendingLog) take(a *appending) error {
	if len(a.links) > 0 {
		p.calls = append(p.calls, a)
		p.links += len(a.links)
	}
	for i := range a.events {
		e := &a.events[i]
		var id *idHash
		if e.ID != "" {
			id = &a.ids[i]
			seq, ok, err := p.find(a, i)
			if err != nil {
				return err
			}
			if ok {
				a.out[i] = Appended{Seq: seq, Duplicate: true}
				continue
			}
			p.ids[*id] = p.end
		}
		e.Seq = p.end
		p.end++
		p.events = append(p.events, e)
		p.hashes = append(p.hashes, id)
		a.out[i] = Appended{Seq: e.Seq}
	}
	return nil
}

// find is the event that had the id of the i-th one before.
func (p *pendingLog) find(a *appending, i int) (int64, bool, error) {
	if a.stands != nil && a.stands[i] > 0 {
		return a.stands[i], true, nil
	}
	id := a.ids[i]
	if seq, ok := p.ids[id]; ok {
		return seq, true, nil
	}
	l := p.log
	from := l.end
	for k := len(l.lately) - 1; k >= 0 && from > a.checked; k-- {
		if seq, ok := l.lately[k].ids[id]; ok {
			return seq, true, nil
		}
		from = l.lately[k].from
	}
	if from <= a.checked {
		return 0, false, nil
	}
	if seq, ok := l.findTail(id); ok {
		return seq, true, nil
	}
	return l.findSealed(id)
}

// commitsKept is how many commits are remembered by their ids: a call seldom
// waits for more.
const commitsKept = 16

// committed is a commit's ids.
type committed struct {
	from int64 // end of the log before it
	ids  map[idHash]int64
}

// write puts the pending events into the transaction.
func (l *shopLog) write(tx *transaction, p *pendingLog) error {
	if len(p.events) == 0 {
		return nil
	}
	for from := 0; from < len(p.events); from += pageEvents {
		part := p.events[from:min(from+pageEvents, len(p.events))]
		first, last := part[0].Seq, part[len(part)-1].Seq
		l.page.reset(first)
		for _, e := range part {
			l.page.add(e)
		}
		if _, err := tx.exec(`INSERT INTO pages (shop, first_seq, last_seq, body) VALUES (?, ?, ?, ?)`,
			string(l.shop), first, last, l.page.bytes()); err != nil {
			return fmt.Errorf("write events of shop %s: %w", l.shop, err)
		}
	}
	if _, err := tx.exec(`UPDATE shops SET next_seq = ? WHERE shop = ?`, p.end, string(l.shop)); err != nil {
		return fmt.Errorf("write events of shop %s: %w", l.shop, err)
	}
	return nil
}

// publish makes committed events known to readers.
func (l *shopLog) publish(p *pendingLog) {
	l.mu.Lock()
	for i, e := range p.events {
		if i%pageEvents == 0 {
			l.begins(e.Seq)
		}
		l.index(&e.Event, p.hashes[i])
	}
	if len(l.lately) == commitsKept {
		l.lately = append(l.lately[:0], l.lately[1:]...)
	}
	l.lately = append(l.lately, committed{l.end, p.ids})
	l.end = p.end
	l.mu.Unlock()
	l.fresh.add(p.linked, p.end, p.linkedAt)
	l.store.wantSealing(l)
}
