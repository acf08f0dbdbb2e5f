package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// packServed is what unpackServed reads, as it was written before there were
// batches.
func packServed(r *Served) []byte {
	var b []byte
	if r.Page == "" && len(r.Cart) == 0 {
		b = append(b, 1)
	} else {
		b = appendString(append(b, 2), r.Page)
		b = binary.AppendUvarint(b, uint64(len(r.Cart)))
		for _, item := range r.Cart {
			b = appendString(b, item)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(r.Items)))
	for i := range r.Items {
		it := &r.Items[i]
		b = appendString(b, it.Item)
		b = appendString(b, it.Source)
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(it.Score))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(it.Propensity))
	}
	return b
}

// putRow puts a record into a row of its own.
func putRow(t *testing.T, s *Store, r *Served) {
	t.Helper()
	err := s.writer.do(context.Background(), func(tx *transaction) error {
		_, err := tx.exec(`INSERT INTO served (shop, recommendation, time, user_key, session_key, surface, market, release, record)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, string(shop), r.Recommendation, r.Time.UnixMilli(), keyBytes(r.User), keyBytes(r.Session),
			r.Surface, r.Market, r.Release, packServed(r))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// answersOf is n records of some persons in no order.
func answersOf(n int) []Served {
	random := rand.New(rand.NewPCG(1, 2))
	var all []Served
	for i := range n {
		r := Served{
			Recommendation: fmt.Sprintf("%03d", i), Time: noon.Add(time.Duration(random.IntN(2000)) * time.Millisecond), User: key(1 + i%5),
			Surface: []string{"home", "item"}[i%2], Market: "DE", Release: "v1", Items: []ServedItem{{"x", "ials", 1, .5}, {"y", "", -2, 1}},
		}
		if i%3 == 0 {
			r.Session = key(10 + i%2)
		}
		if i%7 == 0 {
			r.Page, r.Cart, r.Items = "p", []string{"c", ""}, nil
		}
		all = append(all, r)
	}
	return all
}

// Records of rows by themselves and of batches that overlap are one list, in
// which each stands once, whatever is taken out of it.
func TestServedIsOneList(t *testing.T) {
	ctx := context.Background()
	now := noon
	s := open(t, Options{Clock: func() time.Time { return now }})
	all := answersOf(300)
	must(s.Append(ctx, shop, []features.Event{event(1)}))(t)
	for i := range 40 {
		putRow(t, s, &all[i])
	}
	random := rand.New(rand.NewPCG(3, 4))
	for lo := 40; lo < len(all); {
		hi := min(lo+1+random.IntN(20), len(all))
		from := max(40, lo-random.IntN(3)) // some are told again, among others
		for range 2 {
			if err := s.PutServed(ctx, shop, all[from:hi]); err != nil {
				t.Fatal(err)
			}
		}
		lo = hi
	}
	if err := s.PutServed(ctx, "other", all[:3]); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(all)
	slices.SortFunc(want, Served.compare)
	same := func(what string, got, want []Served, err error) {
		t.Helper()
		if err != nil || len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %d records, %v, want %d", what, len(got), err, len(want))
		}
	}
	look := func(what string) {
		t.Helper()
		for _, w := range [][2]int{{-1, -1}, {0, 2000}, {500, 700}, {1999, -1}, {-1, 1}, {3000, -1}} {
			var from, to time.Time
			if w[0] >= 0 {
				from = noon.Add(time.Duration(w[0]) * time.Millisecond)
			}
			if w[1] >= 0 {
				to = noon.Add(time.Duration(w[1]) * time.Millisecond)
			}
			within := slices.DeleteFunc(slices.Clone(want), func(r Served) bool {
				return r.Time.Before(from) || !to.IsZero() && !r.Time.Before(to)
			})
			var got []Served
			err := s.ScanServed(ctx, shop, from, to, func(r *Served) error { got = append(got, *r); return nil })
			same(fmt.Sprintf("%s, from %d to %d", what, w[0], w[1]), got, within, err)
		}
		for _, surface := range []string{"", "home", "cart"} {
			for _, limit := range []int{0, 1, 17, 1000} {
				newest := slices.DeleteFunc(slices.Clone(want), func(r Served) bool { return surface != "" && r.Surface != surface })
				slices.Reverse(newest)
				got, err := s.RecentServed(ctx, shop, surface, limit)
				same(fmt.Sprintf("%s, the newest %d of %q", what, limit, surface), got, newest[:min(limit, len(newest))], err)
			}
		}
	}
	look("all")
	for _, k := range []features.UserKey{key(3), key(10)} {
		must(s.Erase(ctx, shop, k))(t)
		want = slices.DeleteFunc(want, func(r Served) bool { return r.User == k || r.Session == k })
		look("erased")
	}
	before := noon.Add(900 * time.Millisecond)
	now = before.Add(time.Hour)
	e := must(s.Expire(ctx, shop, Retention{Answers: time.Hour}))(t)
	left := slices.DeleteFunc(slices.Clone(want), func(r Served) bool { return r.Time.Before(before) })
	if gone := int64(len(want) - len(left)); e.Total < gone || e.Places[0].Name != "answers" {
		t.Errorf("got %+v, want at least %d answers", e, gone)
	}
	want = left
	look("expired")
	got, err := s.RecentServed(ctx, "other", "", 10)
	same("of another shop", got, got[:min(3, len(got))], err)
	stop := errors.New("enough")
	if err := s.ScanServed(ctx, shop, time.Time{}, time.Time{}, func(*Served) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want what the caller said", err)
	}
}

// FuzzAnswers unpacks damaged batches.
func FuzzAnswers(f *testing.F) {
	all := answersOf(8)
	good := packAnswers(all)
	for n := range len(good.body) - 3 {
		f.Add(good.subject, bytes.Clone(good.body[:n]))
	}
	f.Add(good.subject[:16], bytes.Clone(good.body[:len(good.body)-4]))
	f.Fuzz(func(t *testing.T, subject, body []byte) {
		b := batch{subject: subject, body: withChecksum(body)}
		got, err := b.unpack(nil)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v, want ErrCorrupt", err)
			}
			return
		}
		if len(got) == 0 {
			return
		}
		again := packAnswers(got)
		if more, err := again.unpack(nil); err != nil || len(more) != len(got) || !bytes.Equal(again.subject, b.subject) {
			t.Errorf("packed again: got %d records, %v, want %d", len(more), err, len(got))
		}
	})
	if got, err := good.unpack(nil); err != nil || !reflect.DeepEqual(got, all) {
		f.Errorf("got %+v, %v, want %+v", got, err, all)
	}
}
