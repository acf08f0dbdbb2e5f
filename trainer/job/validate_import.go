package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/store"
)

// remedy is what mends rows that a rule of the import sets aside.
func remedy(rule string) string {
	known := map[string]string{
		"unreadable":            "write the column as its name in --import says, or name another column",
		"missing_item":          "fill in the item's code",
		"non_product":           "leave it, if it is no product; else map it without a pattern of codes",
		"missing_value":         "fill it in, or import with --missing FIELD=fill:VALUE",
		"missing_customer":      "fill in the customer or the session",
		"non_positive_price":    "fill in the price of one piece, above 0, or import with --missing price=interpolate",
		"non_positive_quantity": "fill in the pieces; below 0 only for what was given back",
		"impossible_time":       "fill in the time, between 1990 and tomorrow",
		"exact_duplicate":       "leave it, if the row was written twice; else tell the rows apart by an id column",
	}
	if fix, ok := known[rule]; ok {
		return fix
	}
	return "mend the row or leave it: an import sets it aside"
}

// tried is what an import would do.
type tried struct {
	File    string               `json:"file"`
	Report  *ingest.Report       `json:"report,omitempty"`
	Table   *ingest.RecordReport `json:"table,omitempty"` // of users, items or an audience
	Refused int64                `json:"refused"`
	Shown   []string             `json:"shown,omitempty"`
	more    map[string]int64
	show    int
}

// importing reads the files as 'trainer import events' would and stores nothing.
// Rows that it would set aside are problems.
func (v *Validate) importing(env *Env) ([]tried, error) {
	if v.As != "events" {
		return v.tables(env)
	}
	mapping, err := ingest.ParseColumns(v.Import)
	if err != nil {
		return nil, fmt.Errorf("--import: %w", err)
	}
	var all []tried
	for _, path := range v.Files {
		src, err := ingest.File(path, ingest.Format{})
		if err != nil {
			return nil, err
		}
		t := tried{File: path, show: v.Show, more: map[string]int64{}}
		bar := env.Progress("check " + filepath.Base(path))
		report, err := ingest.Import(env.Ctx, src, nowhere{}, ingest.Options{Mapping: mapping, Sidecar: &t})
		bar.Done()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		t.Report, t.Refused = &report, report.Refused
		all = append(all, t)
	}
	return all, nil
}

// Write takes refused rows as JSON lines; it implements io.Writer.
func (t *tried) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		var row struct {
			Line         int64
			Rule, Reason string
		}
		if err := json.Unmarshal(line, &row); err != nil {
			return 0, err
		}
		if t.more[row.Rule]++; t.more[row.Rule] <= int64(t.show) {
			t.Shown = append(t.Shown, fmt.Sprintf("%s:%d: %s: %s: %s", t.File, row.Line, row.Rule, row.Reason, remedy(row.Rule)))
		}
	}
	return len(b), nil
}

func (t *tried) text(w io.Writer) {
	for _, line := range t.Shown {
		fmt.Fprintln(w, line)
	}
	if t.Table != nil {
		t.Table.Examples = nil // they are among those shown
		fmt.Fprint(w, t.Table.Text())
		return
	}
	tellImport(w, t.Report)
}

// nowhere is a sink that keeps nothing.
type nowhere struct{}

func (nowhere) Append(_ context.Context, _ features.ShopID, events []features.Event) ([]store.Appended, error) {
	return make([]store.Appended, len(events)), nil
}
func (nowhere) PutItems(context.Context, features.ShopID, []features.Item) error   { return nil }
func (nowhere) PutDead(context.Context, features.ShopID, []store.DeadLetter) error { return nil }
func (nowhere) Pseudonyms(context.Context, features.ShopID) (*features.Pseudonyms, error) {
	return features.NewPseudonyms(make([]byte, 32))
}

// stocktaking is what is odd in the log of a shop.
type stocktaking struct {
	Shop   string           `json:"shop"`
	Events int64            `json:"events"`
	Odd    map[string]int64 `json:"problems"` // by rule
	Shown  []string         `json:"shown,omitempty"`
}

// stored checks a shop's log against its catalogue.
func (v *Validate) stored(env *Env) (*stocktaking, error) {
	out := &stocktaking{Shop: v.Shop, Odd: map[string]int64{}}
	shelf := Shelf{Dir: v.Dir}
	shop := features.ShopID(v.Shop)
	return out, shelf.read(env, func(s *store.Store) error {
		bar := env.Progress("check the log of shop " + v.Shop)
		defer bar.Done()
		known := map[string]bool{}
		for after := ""; ; {
			page, err := s.ListItems(env.Ctx, shop, after, 5000)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			for i := range page {
				known[page[i].ID] = true
			}
			after = page[len(page)-1].ID
		}
		return s.Scan(env.Ctx, shop, 0, 0, func(e *features.Event) error {
			out.Events++
			odd := func(when bool, rule, fix string) {
				if !when {
					return
				}
				if out.Odd[rule]++; out.Odd[rule] <= int64(v.Show) {
					out.Shown = append(out.Shown, fmt.Sprintf("event %d (%s of %q): %s: %s", e.Seq, e.Type, e.Item, rule, fix))
				}
			}
			odd(e.Subject().IsZero(), "no_shopper", "send the user or the session with it: it teaches nothing of taste")
			odd(e.Item != "" && !known[e.Item], "unknown_item", "put the item into the catalogue: until then the event is left out of training")
			odd(e.Item == "" && e.Type.AboutItem(), "missing_item", "send the item's id with it")
			odd(e.Time.After(e.Received.Add(24*time.Hour)), "future_time", "correct the sender's clock")
			return nil
		})
	})
}

// runEvents is Run for events that are, or are to be, in a store.
func (v *Validate) runEvents(env *Env) error {
	if v.Dir != "" {
		s, err := v.stored(env)
		if err != nil {
			return err
		}
		if env.JSON {
			err = env.WriteJSON(s)
		} else {
			_, err = fmt.Fprintf(env.Out, "%sshop %s: %d events\n", paragraph(s.Shown), s.Shop, s.Events)
		}
		if err == nil && len(s.Odd) > 0 {
			err = fmt.Errorf("%w: in the log of shop %s: %s", ErrInvalid, s.Shop, counts(s.Odd))
		}
		return err
	}
	all, err := v.importing(env)
	if err != nil {
		return err
	}
	refused := int64(0)
	for i := range all {
		refused += all[i].Refused
		if !env.JSON {
			all[i].text(env.Out)
		}
	}
	if env.JSON {
		if err := env.WriteJSON(map[string]any{"files": all}); err != nil {
			return err
		}
	}
	if refused > 0 {
		return fmt.Errorf("%w: an import would set %d rows aside: mend those named above, or import without them", ErrInvalid, refused)
	}
	return nil
}

// checkEvents reports flags that do not go together.
func (v *Validate) checkEvents() error {
	switch {
	case v.Dir != "" && (len(v.Files) > 0 || v.Import != ""):
		return errors.New("--data checks the log of a shop: give no files beside it")
	case v.As != "events" && v.Import == "":
		return fmt.Errorf("--as %s: say with --import which column fills which field", v.As)
	case v.Dir == "" && len(v.Files) == 0:
		return errors.New("nothing to check: give files, or --data DIR for the log of a shop")
	}
	return features.ShopID(v.Shop).Validate()
}

// counts is how often each rule found something.
func counts(of map[string]int64) string {
	names := slices.Sorted(maps.Keys(of))
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, of[n])
	}
	return strings.Join(names, ", ")
}

// paragraph is lines, each ended.
func paragraph(of []string) string {
	if len(of) == 0 {
		return ""
	}
	return strings.Join(of, "\n") + "\n"
}
