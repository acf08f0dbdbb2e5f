package dataset

import (
	"errors"
	"io"
	"strconv"

	"github.com/attune-rec/attune/features"
)

// readAdjacency reads "user item item ..." a line; a user may have no items or
// several lines. Sequences are the same with the items in time order.
func (l *Loader) readAdjacency(name string, r io.Reader) (*table, error) {
	t := &table{kindOfAll: features.Purchase}
	in := newLines(name, r)
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		user, rest := word(line)
		if len(user) == 0 {
			continue
		}
		u := l.users.add(view(user))
		for {
			var item []byte
			if item, rest = word(rest); len(item) == 0 {
				break
			}
			t.user = append(t.user, u)
			t.item = append(t.item, l.items.add(view(item)))
		}
	}
}

// readCounted reads "n item item ..." a line, n items, where the user is the
// number of the line, from 0.
func (l *Loader) readCounted(name string, r io.Reader) (*table, error) {
	t := &table{kindOfAll: features.Purchase}
	in := newLines(name, r)
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		count, rest := word(line)
		want, err := strconv.Atoi(string(count))
		if err != nil || want < 0 {
			if err := l.bad(in.errorf("the number of items that follow", "%q", clip(count))); err != nil {
				return nil, err
			}
			continue
		}
		u := l.users.add(strconv.Itoa(in.n - 1))
		got := 0
		for ; ; got++ {
			var item []byte
			if item, rest = word(rest); len(item) == 0 {
				break
			}
			t.user = append(t.user, u)
			t.item = append(t.item, l.items.add(view(item)))
		}
		if got != want {
			if err := l.bad(in.errorf(strconv.Itoa(want)+" items, as the line says at its start", "%d items", got)); err != nil {
				return nil, err
			}
			t.user, t.item = t.user[:len(t.user)-got], t.item[:len(t.item)-got]
		}
	}
}
