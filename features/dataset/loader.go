package dataset

import (
	"fmt"
	"io"
)

// Format is how a file of interactions is written. Any of them may be packed
// (see Open).
type Format string

// The formats.
const (
	Adjacency Format = "adjacency" // "user item item ..." a line
	Sequences Format = "sequences" // the same, items in time order; events are numbered (see Ordinal)
	Pairs     Format = "pairs"     // "user item [rating [unix time]]" a line
	Counted   Format = "counted"   // "n item item ..." a line; the user is the line's number, from 0
	Events    Format = "events"    // CSV with a header; see Columns
)

// Formats lists them.
func Formats() []Format { return []Format{Adjacency, Sequences, Pairs, Counted, Events} }

// Loader reads files that speak of the same users and items, which get their
// numbers in order of first appearance. An interaction has the type Rating
// where the file has ratings (Value holds the stars), what its column says in
// Events, and Purchase elsewhere. It is not safe for concurrent use; the zero
// value is ready.
type Loader struct {
	Format  Format
	Columns Columns // of Events

	// Problem is told of each bad row. The row is left out when it returns nil;
	// otherwise reading ends with what it returns. A nil Problem ends reading at
	// the first.
	Problem func(*FormatError) error

	Skipped Skipped // rows of Events that were left out so far

	users, items, markets names
}

// Rows is what was read from one file: a Dataset once all files are read.
type Rows struct{ t *table }

// Len is the number of interactions.
func (r *Rows) Len() int { return len(r.t.user) }

// Load reads the file at path.
func (l *Loader) Load(path string) (*Rows, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return l.Read(path, f)
}

// Read reads r, which errors call name. Errors of content are FormatErrors.
func (l *Loader) Read(name string, r io.Reader) (*Rows, error) {
	var t *table
	var err error
	switch l.Format {
	case Adjacency:
		t, err = l.readAdjacency(name, r)
	case Sequences:
		if t, err = l.readAdjacency(name, r); err == nil {
			t.ordered = true
		}
	case Counted:
		t, err = l.readCounted(name, r)
	case Pairs:
		t, err = l.readPairs(name, r)
	case Events:
		t, err = l.readEvents(name, r)
	default:
		err = fmt.Errorf("unknown format %q: expected one of %v", l.Format, Formats())
	}
	if err != nil {
		return nil, err
	}
	if len(t.user) == 0 {
		return nil, fmt.Errorf("%s: %w: no interaction in it: expected format %s", name, ErrFormat, l.Format)
	}
	return &Rows{t}, nil
}

// bad says what becomes of a bad row: nil to leave it out.
func (l *Loader) bad(e *FormatError) error {
	if l.Problem == nil {
		return e
	}
	return l.Problem(e)
}

// LoadNegatives reads sampled candidates, "(user,item) n1 n2 ..." a line.
func (l *Loader) LoadNegatives(path string) (*Negatives, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := l.readNegatives(path, f)
	if err == nil && n.Len() == 0 {
		err = fmt.Errorf("%s: %w: no line in it: expected %s", path, ErrFormat, negativeWant)
	}
	return n, err
}

// Dataset is rows over all users and items the loader has seen until now; call
// it after the last file is read, so that all datasets share one list.
func (l *Loader) Dataset(rows *Rows) *Dataset {
	return rows.t.dataset(l.users.list, l.items.list, l.markets.list)
}
