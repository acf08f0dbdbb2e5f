package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/attune-rec/attune/features"
)

// pairNames are the headings by which a first line is known to be a header.
var pairNames = map[string]int{
	"user": 0, "userid": 0, "user_id": 0, "customer": 0, "customerid": 0, "customer_id": 0, "uid": 0,
	"item": 1, "itemid": 1, "item_id": 1, "movie": 1, "movieid": 1, "movie_id": 1, "product": 1, "productid": 1,
	"product_id": 1, "iid": 1, "sku": 1,
	"rating": 2, "score": 2, "stars": 2, "value": 2,
	"time": 3, "timestamp": 3, "ts": 3, "unix_time": 3, "unixtime": 3,
}

const pairWant = "user item [rating [unix time]] by tab, comma, blank or '::'"

// readPairs reads "user item [rating [unix time]]" a line. The separator is the
// one of the first line: '::', tab, comma, semicolon or blanks. A header is
// known by its names, and may then give the columns in another order.
func (l *Loader) readPairs(name string, r io.Reader) (*table, error) {
	t := &table{kindOfAll: features.Purchase}
	in := newLines(name, r)
	var sep []byte
	at := [4]int{0, 1, 2, 3} // place of user, item, rating, time; -1 for none
	columns := 0
	var fields [][]byte
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if columns == 0 {
			sep = separator(line)
		}
		fields = cut(line, sep, fields[:0])
		if columns == 0 {
			if columns = len(fields); columns < 2 || columns > 4 {
				return nil, in.errorf(pairWant, "%d fields in %q", columns, clip(line))
			}
			header := headerOf(fields, &at)
			for i, a := range at {
				if a >= columns {
					at[i] = -1
				}
			}
			if at[2] >= 0 {
				t.kindOfAll = features.Rating
			}
			if header {
				continue
			}
		}
		value, ms, bad := pair(in, line, fields, columns, &at)
		if bad != nil {
			if err := l.bad(bad); err != nil {
				return nil, err
			}
			continue
		}
		if at[2] >= 0 {
			t.value = append(t.value, value)
		}
		if at[3] >= 0 {
			t.timeMS = append(t.timeMS, ms)
		}
		t.user = append(t.user, l.users.add(view(fields[at[0]])))
		t.item = append(t.item, l.items.add(view(fields[at[1]])))
	}
}

// pair checks the fields of a line and reads its rating and time.
func pair(in *lines, line []byte, fields [][]byte, columns int, at *[4]int) (value float32, ms int64, bad *FormatError) {
	if len(fields) != columns {
		return 0, 0, in.errorf(fmt.Sprintf("%d, as many as the first line has", columns), "%d fields in %q", len(fields), clip(line))
	}
	if len(fields[at[0]]) == 0 || len(fields[at[1]]) == 0 {
		return 0, 0, in.errorf(pairWant, "an empty user or item in %q", clip(line))
	}
	if at[2] >= 0 {
		v, ok := decimal(fields[at[2]])
		if !ok {
			return 0, 0, in.errorf("a number; a header line is known by names such as user, item, rating, time", "rating %q", clip(fields[at[2]]))
		}
		value = float32(v)
	}
	if at[3] >= 0 {
		v, ok := decimal(fields[at[3]])
		var inRange bool
		if ms, inRange = unixMS(v); !ok || !inRange {
			return 0, 0, in.errorf("Unix seconds or milliseconds", "time %q", clip(fields[at[3]]))
		}
	}
	return value, ms, nil
}

// headerOf reports whether the first two of the fields name columns, and then
// sets where they are.
func headerOf(fields [][]byte, at *[4]int) bool {
	found := [4]int{-1, -1, -1, -1}
	for i, f := range fields {
		if c, ok := pairNames[strings.ToLower(string(f))]; ok && found[c] < 0 {
			found[c] = i
		}
	}
	if found[0] < 0 || found[1] < 0 {
		return false
	}
	*at = found
	return true
}

// separator guesses what parts the fields of line; nil is any blanks.
func separator(line []byte) []byte {
	for _, sep := range []string{"::", "\t", ",", ";"} {
		if bytes.Contains(line, []byte(sep)) {
			return []byte(sep)
		}
	}
	return nil
}

// cut parts line at sep and trims each field.
func cut(line, sep []byte, dst [][]byte) [][]byte {
	if sep == nil {
		for {
			var w []byte
			if w, line = word(line); len(w) == 0 {
				return dst
			}
			dst = append(dst, w)
		}
	}
	for {
		i := bytes.Index(line, sep)
		if i < 0 {
			return append(dst, bytes.TrimSpace(line))
		}
		dst = append(dst, bytes.TrimSpace(line[:i]))
		line = line[i+len(sep):]
	}
}
