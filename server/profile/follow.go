package profile

import (
	"context"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

const (
	breath = 20 * time.Millisecond // between two reads of the log, so that many events are read at once
	retry  = time.Second           // after a read that failed
	much   = 50_000                // events from which consents and links are read at once
	shelf  = time.Second           // after a change of the catalogue, for those that follow

	mostBehind = 16 << 10 // events that the follower may be behind before senders wait for it
)

// await returns once the follower is near an event, or when waiting is of no
// use: it reads an old log at a start, does something else, or takes too long.
func (s *shop) await(seq int64) {
	for began := time.Now(); s.reading.Load() && seq-s.seq.Load() > mostBehind && time.Since(began) < s.k.o.Wait; {
		time.Sleep(time.Millisecond)
	}
}

// follow folds the log until the keeper closes.
func (s *shop) follow() {
	ctx := s.k.ctx
	if markets, err := s.k.o.Store.MarketConsents(ctx, s.id); err == nil {
		s.uniform.Store(len(markets) == 0)
	}
	if lists, err := s.k.o.Store.AnyAudience(ctx, s.id); lists || err != nil {
		s.listing.Add(1) // in doubt they are asked for
	}
	s.open(ctx)
	older := s.seq.Load() // what was sold up to there is looked for once the profiles follow the log
	if older > 0 {
		s.recalls.Add(1)
	}
	s.reload(ctx)
	s.refreshGoods(ctx)
	save, refresh := time.NewTicker(s.k.o.Save), time.NewTicker(s.k.o.Refresh)
	defer save.Stop()
	defer refresh.Stop()
	changed := time.NewTimer(0) // once more with what was sold
	defer changed.Stop()
	defer s.save()
	var before recall // what was sold before, beside the follower
	for {
		wait := breath
		err := s.catchUp(ctx)
		s.reading.Store(err == nil)
		if err != nil && ctx.Err() == nil {
			s.k.o.Logger.Error("profiles do not follow the log; they are read from the store as they are asked for", "shop", s.id, "error", err)
			wait = retry
			s.wakeUp()
		}
		if s.recount.Load() {
			if before.end() || older > 0 { // or it would count on in what is counted anew
				s.recalls.Add(-1)
			}
			older = s.seq.Load()
			s.sold.Clear()
			if older > 0 {
				s.recalls.Add(1)
			}
			s.recount.Store(false)
		}
		if s.file.wanted() {
			s.saveBeside()
		}
		if older > 0 {
			before = s.recall(ctx, older)
			older = 0
			changed.Reset(0)
		} else if s.recalls.Load() == 0 && err == nil {
			s.settled.Store(true)
		}
		select {
		case <-s.wake:
			if !sleep(ctx, wait) {
				return
			}
		case <-s.goods:
			changed.Reset(shelf)
		case <-changed.C:
			s.measure(ctx, nil)
		case <-before.done:
			before.done = nil
			s.measure(ctx, func() {
				if s.recalls.Add(-1) == 0 {
					s.settled.Store(true)
				}
			})
		case <-save.C:
			s.saveBeside()
		case <-refresh.C:
			s.measure(ctx, nil)
			if s.counting.CompareAndSwap(false, true) {
				s.k.wg.Go(func() {
					defer s.counting.Store(false)
					s.refreshCounts(ctx)
				})
			}
		case <-ctx.Done():
			return
		}
	}
}

// sleep reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// join takes links in: what a session's stranger did is the user's now. A
// session in which nobody unknown did anything changes nothing.
func (s *shop) join(ctx context.Context) error {
	s.joining.Lock()
	defer s.joining.Unlock()
	s.mu.Lock()
	pairs := s.linked
	s.linked = nil
	s.mu.Unlock()
	for i, p := range pairs {
		strange, err := s.k.o.Store.Anonymous(ctx, s.id, p[0])
		if err != nil {
			s.mu.Lock()
			s.linked = append(pairs[i:], s.linked...)
			s.mu.Unlock()
			return err
		}
		if !strange && !s.roster.has(p[0]) {
			continue
		}
		user, err := s.resolve(ctx, p[1])
		if err != nil {
			return err
		}
		s.roster.remove(p[0])
		s.roster.add(user)
		s.stale(p[0])
		s.stale(p[1])
		s.stale(user)
	}
	return nil
}

// catchUp folds what the log has and the follower has not read.
func (s *shop) catchUp(ctx context.Context) error {
	if err := s.join(ctx); err != nil {
		return err
	}
	from := s.seq.Load() + 1
	end, err := s.k.o.Store.End(ctx, s.id)
	if err != nil || end <= from {
		return err
	}
	f := folding{s: s, ctx: ctx}
	if end-from > much && !s.begun {
		if f.choices, err = s.k.o.Store.Choices(ctx, s.id); err != nil {
			return err
		}
		if f.links, err = s.k.o.Store.Links(ctx, s.id); err != nil {
			return err
		}
	}
	s.begun = true
	n := 0.
	err = s.k.o.Store.Scan(ctx, s.id, from, end, func(e *features.Event) error {
		n++
		if err := f.take(e); err != nil {
			return err
		}
		s.seq.Store(e.Seq)
		return nil
	})
	s.k.folded.Add(n)
	if err != nil {
		return err
	}
	s.seq.Store(end - 1) // the last may have been erased
	return nil
}

// folding is one read of the log.
type folding struct {
	s       *shop
	ctx     context.Context
	choices *store.Choices                        // nil: asked one by one
	links   map[features.UserKey]features.UserKey // nil: likewise
}

func (f *folding) resolve(key features.UserKey) (features.UserKey, error) {
	if f.links == nil {
		return f.s.resolve(f.ctx, key)
	}
	for range 16 {
		to, ok := f.links[key]
		if !ok {
			return key, nil
		}
		key = to
	}
	return key, nil
}

func (f *folding) consent(key features.UserKey, market string) (features.Purposes, error) {
	if f.choices == nil {
		return f.s.k.o.Store.ConsentIn(f.ctx, f.s.id, key, market)
	}
	return f.choices.In(key, market), nil
}

// take folds one event.
func (f *folding) take(e *features.Event) error {
	s := f.s
	if !s.counts(f.ctx, e) {
		return nil
	}
	s.sold.Add(e)
	subject := e.Subject()
	if subject.IsZero() {
		return nil
	}
	kept, ok := s.entries.Get(subject)
	if ok && kept.fold(e) { // who has a state is nobody else
		if err := f.moved(kept, subject, e.Market); err != nil {
			return err
		}
		if !e.User.IsZero() {
			s.roster.add(subject)
		}
		return nil
	}
	key, err := f.resolve(subject)
	if err != nil {
		return err
	}
	isNew := false
	if known := !e.User.IsZero() || key != subject; known {
		isNew = s.roster.add(key)
	}
	kept, ok = s.entries.Get(key)
	if !ok {
		if !isNew {
			return nil // not kept: made anew when it is asked for
		}
		consent, err := f.consent(key, e.Market)
		if err != nil || !consent.Has(features.Personalisation) {
			return err
		}
		kept = s.entries.PeekOrAdd(key, &entry{loaded: true, agreed: true, consent: consent, market: e.Market}) // another's, where asked for meanwhile
	}
	kept.fold(e)
	return f.moved(kept, key, e.Market)
}

// moved looks whether the default of the market that a person is in now, where
// they never said anything, is another than that of the one before.
func (f *folding) moved(kept *entry, key features.UserKey, market string) error {
	if f.s.uniform.Load() || market == "" {
		return nil
	}
	kept.mu.Lock()
	was, consent := kept.market, kept.consent
	kept.market = market
	kept.mu.Unlock()
	if was == market {
		return nil
	}
	now, err := f.consent(key, market)
	if err != nil || now == consent {
		return err
	}
	if f.s.stale(key) && !now.Has(features.Personalisation) {
		f.s.unwrite()
	}
	return nil
}

// fold takes an event in, and reports whether there is a state to take it in.
func (e *entry) fold(ev *features.Event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.loaded || !e.agreed {
		return false
	}
	if e.state.Update(ev) {
		e.made = nil
	}
	return true
}
