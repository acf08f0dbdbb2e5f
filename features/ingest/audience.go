package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// AudienceFields lists what a column can fill of somebody on a partner's list. A
// row that has several of the first three is taken by the first that it has, in
// this order.
func AudienceFields() []string {
	return []string{"user", "email_sha256", "device", "audience", "expires"}
}

// AudienceSink takes partners' lists; a *store.Store is one.
type AudienceSink interface {
	Enlist(ctx context.Context, shop features.ShopID, name, source string, people []store.Listed) (store.Enlisted, error)
	Retain(ctx context.Context, shop features.ShopID, name string, keep map[features.UserKey]struct{}) (int64, error)
	PutDead(ctx context.Context, shop features.ShopID, letters []store.DeadLetter) error
	Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
}

// AudienceOptions says how a partner's list is imported. Columns is needed.
type AudienceOptions struct {
	RecordOptions
	Name    string    // of the list, of rows that do not name one
	Partner string    // who brings it; "": the source's name
	Expires time.Time // of rows that do not say; zero: never
	Replace bool      // who is not in the source is taken off its lists at the end
}

// Check reports columns that cannot make a list.
func (o *AudienceOptions) Check() error {
	switch {
	case o.Columns["user"] == "" && o.Columns["email_sha256"] == "" && o.Columns["device"] == "":
		return errors.New("columns: none names a person: add email_sha256=COLUMN, user=COLUMN or device=COLUMN")
	case o.Name == "" && o.Columns["audience"] == "":
		return errors.New("no list is named: give its name, or the column that has it as audience=COLUMN")
	case o.Name != "":
		return store.CheckAudience(o.Name)
	}
	return nil
}

// AudienceReport is what an import of a partner's list did.
type AudienceReport struct {
	RecordReport
	Withheld int64 `json:"withheld"` // were erased, and did not agree to marketing since
	Removed  int64 `json:"removed"`  // were on a list and are not in the source
}

// Text is the report for people.
func (r *AudienceReport) Text() string {
	text := r.RecordReport.Text()
	if r.Withheld > 0 {
		text += fmt.Sprintf("    %d were erased and are kept out\n", r.Withheld)
	}
	if r.Removed > 0 {
		text += fmt.Sprintf("    %d are not among them any more and were taken off\n", r.Removed)
	}
	return text
}

// Audience imports a partner's list of people. Who is on it alike is not written
// again, so that a second import, or the next try of one that was interrupted,
// writes only what is missing.
func Audience(ctx context.Context, src Source, sink AudienceSink, o AudienceOptions) (AudienceReport, error) {
	if err := o.Check(); err != nil {
		return AudienceReport{}, err
	}
	if o.Shop == "" {
		o.Shop = features.DefaultShop
	}
	if o.Partner == "" {
		o.Partner = src.Name()
	}
	names, err := sink.Pseudonyms(ctx, o.Shop)
	if err != nil {
		return AudienceReport{}, fmt.Errorf("import %s: %w", src.Name(), err)
	}
	l := &listing{names: names, sink: sink, o: &o, batch: map[string][]store.Listed{}, keep: map[string]map[features.UserKey]struct{}{}}
	l.records = records{ctx: ctx, src: src, sink: sink, o: &o.RecordOptions, kind: "audience", who: l.who}
	if err = l.each(l.row, l.flush); err == nil && o.Replace {
		err = l.retain()
	}
	l.out.RecordReport = l.report
	if err != nil {
		return l.out, fmt.Errorf("import %s: %w", src.Name(), err)
	}
	return l.out, nil
}

// listing is an import of partners' lists on its way.
type listing struct {
	records
	names *features.Pseudonyms
	sink  AudienceSink
	o     *AudienceOptions
	clock times
	batch map[string][]store.Listed                // by list
	keep  map[string]map[features.UserKey]struct{} // likewise, where they are replaced
	out   AudienceReport
}

// row takes in one row; a *RowError refuses it.
func (l *listing) row(line int64, cells []cell) error {
	name, one := l.o.Name, store.Listed{Expires: l.o.Expires}
	best := len(AudienceFields())
	for i := range cells {
		c := &cells[i]
		switch c.field {
		case "audience":
			if err := store.CheckAudience(c.value); err != nil {
				return c.wrong(err)
			}
			name = c.value
		case "expires":
			at, err := l.clock.parse(c.value)
			if err != nil {
				return c.wrong(err)
			}
			one.Expires = at.Truncate(time.Millisecond)
		default:
			key, err := l.key(c)
			if err != nil {
				return c.wrong(err)
			}
			if at := slices.Index(AudienceFields(), c.field); at < best {
				best, one.Key = at, key
			}
		}
	}
	switch {
	case one.Key.IsZero():
		return &RowError{Line: line, Reason: "names nobody: expected a hashed e-mail, the shop's id of a user, or a device"}
	case name == "":
		return &RowError{Line: line, Column: l.o.Columns["audience"], Reason: "is empty: expected the name of the list"}
	}
	l.batch[name] = append(l.batch[name], one)
	if l.o.Replace {
		if l.keep[name] == nil {
			l.keep[name] = map[features.UserKey]struct{}{}
		}
		l.keep[name][one.Key] = struct{}{}
	}
	return nil
}

// The longest names that events may have.
const (
	mostUser   = 256
	mostDevice = 200
)

// key is whom a cell names.
func (l *listing) key(c *cell) (features.UserKey, error) {
	id := identifier(c.value)
	switch n := utf8.RuneCountInString(id); {
	case c.field == "email_sha256":
		digits := strings.ToLower(c.value)
		if strings.Contains(digits, "@") {
			return features.UserKey{}, errors.New("is an address: expected its SHA-256, made of the trimmed address in lower case")
		}
		if b, err := hex.DecodeString(digits); err != nil || len(b) != sha256.Size {
			return features.UserKey{}, fmt.Errorf("%q is no SHA-256: expected 64 hexadecimal digits, made of the trimmed address in lower case", short(c.value))
		}
		return l.names.User(features.EmailUser(digits)), nil
	case c.field == "device" && n > mostDevice:
		return features.UserKey{}, fmt.Errorf("has %d characters: expected at most %d", n, mostDevice)
	case c.field == "device":
		return l.names.User(features.DeviceUser(id)), nil
	case n > mostUser:
		return features.UserKey{}, fmt.Errorf("has %d characters: expected at most %d", n, mostUser)
	}
	return l.names.User(id), nil
}

// who is whom a refused row is about, as far as it can be told; an address is
// taken for its hash.
func (l *listing) who(cells []cell) (who features.UserKey) {
	for i := range cells {
		c := cells[i]
		if !slices.Contains(AudienceFields()[:3], c.field) {
			continue
		}
		if c.field == "email_sha256" && strings.Contains(c.value, "@") {
			sum := sha256.Sum256([]byte(strings.ToLower(c.value)))
			c.value = hex.EncodeToString(sum[:])
		}
		if key, err := l.key(&c); err == nil {
			return key
		}
	}
	return who
}

// flush puts those on their lists who were read since the last.
func (l *listing) flush() error {
	for name, people := range l.batch {
		if len(people) == 0 {
			continue
		}
		done, err := l.sink.Enlist(l.ctx, l.o.Shop, name, l.o.Partner, people)
		if err != nil {
			return err
		}
		l.report.Stored += done.Stored
		l.report.Same += done.Same
		l.out.Withheld += done.Withheld
		l.batch[name] = people[:0]
	}
	return nil
}

// retain takes those off who are not in the source, which was read to its end.
func (l *listing) retain() error {
	if len(l.keep) == 0 {
		return errors.New("nobody is in it: the lists stay as they were; delete a list that is to be empty")
	}
	for name, keep := range l.keep {
		n, err := l.sink.Retain(l.ctx, l.o.Shop, name, keep)
		l.out.Removed += n
		if err != nil {
			return err
		}
	}
	return nil
}
