package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/risk"
)

// marks are what names a person, in every place that can hold it.
func marks(who string) []string {
	var all []string
	for _, place := range []string{"id", "mail", "text", "attribute", "event", "order", "target", "region", "letter", "answer"} {
		all = append(all, fmt.Sprintf("planted-%s-of-%s", place, who))
	}
	return all
}

// plant puts a person's marks everywhere, some of the events under a session
// that was linked later, and events of others around them.
func plant(t *testing.T, s *Store, who string) (user, session features.UserKey) {
	t.Helper()
	ctx := context.Background()
	m := marks(who)
	names := must(s.Pseudonyms(ctx, shop))(t)
	user, session = names.User(m[0]), names.Session("visit of "+who)
	if err := s.PutUsers(ctx, shop, []User{{ID: m[0], Personal: Personal{Region: m[7], Attributes: map[string]string{"mail": m[1]}}}}); err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		own := event(n)
		own.ID, own.Order, own.Target, own.Text = fmt.Sprint(m[4], "-", n), m[5], m[6], m[2]
		own.User, own.Session, own.Attributes = user, session, map[string]string{"note": m[3]}
		if n%4 == 0 {
			own.User = features.UserKey{}
		}
		other := event(n)
		other.ID = fmt.Sprint("other-", who, n)
		must(s.Append(ctx, shop, []features.Event{other, own}))(t)
	}
	if err := s.Link(ctx, shop, session, user); err != nil {
		t.Fatal(err)
	}
	if err := s.PutDead(ctx, shop, []DeadLetter{{Key: m[8], Source: "test", Rule: "r", Reason: m[8], User: user, Payload: []byte(m[8])}}); err != nil {
		t.Fatal(err)
	}
	must(s.Enlist(ctx, shop, "vip", "crm", []Listed{{Key: user}}))(t)
	if err := s.PutServed(ctx, shop, []Served{{Recommendation: m[9], Time: noon, User: user, Surface: "home", Items: []ServedItem{{Item: "item-1"}}}}); err != nil {
		t.Fatal(err)
	}
	flag := risk.Flag{Subject: user, Kind: risk.ClickFraud, Score: .9, From: 1, First: noon, Last: noon}
	if _, err := s.PutFlags(ctx, shop, []risk.Flag{flag}, 0, ""); err != nil {
		t.Fatal(err)
	}
	return user, session
}

// search counts each mark over the whole data directory: every file as it lies
// there, free list and write-ahead log included, every segment unpacked, and
// all that the store can decrypt.
func search(t *testing.T, s *Store, wanted []string) map[string]int {
	t.Helper()
	ctx := context.Background()
	found := map[string]int{}
	look := func(text string) {
		for _, m := range wanted {
			found[m] += strings.Count(text, m)
		}
	}
	err := filepath.WalkDir(s.opts.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		look(string(b))
		if filepath.Ext(path) == ".parquet" {
			rows, err := parquet.ReadFile[segmentRow](path)
			if err != nil {
				return err
			}
			for i := range rows {
				look(fmt.Sprintf("%+v", rows[i]))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	show := func(v any) { look(string(must(json.Marshal(v))(t))) }
	for _, e := range scan(t, s, 0, 0) {
		show(e)
	}
	show(must(s.ListUsers(ctx, shop, features.UserKey{}, 1000))(t))
	for _, d := range must(s.ListDead(ctx, shop, 0, 1000))(t) {
		look(string(d.Payload) + d.Reason + d.Key)
	}
	return found
}

// stocked is a store with a person to be erased and one who stays, part of whose
// events are sealed.
func stocked(t *testing.T, o Options) (s *Store, gone, stays features.UserKey) {
	t.Helper()
	s = open(t, o)
	gone, _ = plant(t, s, "gone")
	stays, _ = plant(t, s, "control")
	must(s.Seal(context.Background(), shop, 50))(t)
	return s, gone, stays
}

func expectGone(t *testing.T, s *Store, want int) {
	t.Helper()
	found := search(t, s, append(marks("gone"), marks("control")...))
	for _, m := range marks("control") {
		if found[m] == 0 {
			t.Errorf("%s is not found: the search is blind", m)
		}
	}
	for _, m := range marks("gone") {
		if want == 0 && found[m] > 0 {
			t.Errorf("%s is found %d times", m, found[m])
		}
		if want > 0 && found[m] == 0 {
			t.Errorf("%s is not found before the erasure: the search is blind", m)
		}
	}
	if got := scan(t, s, 0, 0); len(got) != 160-40*(1-min(want, 1)) {
		t.Errorf("got %d events, want those of the person gone and no others", len(got))
	}
}

func TestErasedPersonIsNowhere(t *testing.T) {
	ctx := context.Background()
	o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1}
	s, gone, stays := stocked(t, o)
	expectGone(t, s, 1)
	backup := t.TempDir()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(backup, "b"), os.DirFS(o.Dir)); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	end := must(s.End(ctx, shop))(t)
	c := must(s.Erase(ctx, shop, gone))(t)
	t.Logf("certificate: %s", must(json.Marshal(c))(t))
	for _, p := range c.Places {
		if p.Removed == 0 && p.Name != "write-ahead log" {
			t.Errorf("certificate names nothing of %s", p.Name)
		}
	}
	expectGone(t, s, 0)
	if h := must(s.History(ctx, shop, gone, 1000))(t); len(h) != 0 {
		t.Errorf("got %d events of the person, want none", len(h))
	}
	if h := must(s.History(ctx, shop, stays, 1000))(t); len(h) != 40 {
		t.Errorf("got %d events of the other, want 40", len(h))
	}
	if got := must(s.End(ctx, shop))(t); got != end {
		t.Errorf("got end %d, want %d", got, end)
	}
	must(s.Seal(ctx, shop, 0))(t) // blanks are sealed too
	expectGone(t, s, 0)
	again := event(3)
	again.ID = "other-control3"
	if got := must(s.Append(ctx, shop, []features.Event{again}))(t); !got[0].Duplicate || got[0].Seq != 87 {
		t.Errorf("sent again after erasing: got %+v, want a duplicate of 87", got[0])
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// A backup from before, restored over the directory.
	for _, name := range []string{"attune.db", "attune.db-wal", "attune.db-shm", "segments"} {
		if err := os.RemoveAll(filepath.Join(o.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(o.Dir, "segments"), os.DirFS(filepath.Join(backup, "b", "segments"))); err != nil {
		t.Fatal(err)
	}
	b := must(os.ReadFile(filepath.Join(backup, "b", "attune.db")))(t)
	if err := os.WriteFile(filepath.Join(o.Dir, "attune.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	expectGone(t, s, 0)
}

// An erasure that ends at any of its points is finished by the next start.
func TestErasureThatFails(t *testing.T) {
	stop := errors.New("stopped")
	for _, at := range []string{"rows erased", "pages erased", "segment rewritten"} {
		t.Run(at, func(t *testing.T) {
			broken := true
			o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1, seam: func(point string) error {
				if broken && point == at {
					return stop
				}
				return nil
			}}
			s, gone, _ := stocked(t, o)
			if _, err := s.Erase(context.Background(), shop, gone); !errors.Is(err, stop) {
				t.Fatalf("got %v, want it to stop", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			broken = false
			expectGone(t, open(t, o), 0)
		})
	}
}

// A reader in another program goes on while segments are replaced.
func TestReaderBesideErasure(t *testing.T) {
	ctx := context.Background()
	s, gone, stays := stocked(t, Options{SegmentRows: 40, SealAt: -1})
	r, err := OpenReader(ctx, Options{Dir: s.opts.Dir})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := len(scan(t, r, 0, 0)); got != 160 {
		t.Fatalf("got %d events, want 160", got)
	}
	must(s.Erase(ctx, shop, gone))(t)
	if got := len(scan(t, r, 0, 0)); got != 120 {
		t.Errorf("got %d events, want 120", got)
	}
	if h := must(r.History(ctx, shop, stays, 1000))(t); len(h) != 40 {
		t.Errorf("got %d events of the other, want 40", len(h))
	}
}

func TestExportIsCompleteAndAlone(t *testing.T) {
	ctx := context.Background()
	s, gone, stays := stocked(t, Options{SegmentRows: 40, SealAt: -1})
	_ = gone
	p := must(s.Export(ctx, shop, stays))(t)
	text := string(must(json.Marshal(p))(t))
	for _, d := range p.Refused {
		text += string(d.Payload)
	}
	for _, m := range marks("control") {
		if !strings.Contains(text, m) {
			t.Errorf("%s is missing in the export", m)
		}
	}
	for _, m := range marks("gone") {
		if strings.Contains(text, m) {
			t.Errorf("%s of another is in the export", m)
		}
	}
	if len(p.Flags) != 1 || p.Flags[0].Subject != stays || len(p.Aliases) != 1 {
		t.Errorf("got the flags %v and links %v, want one of each", p.Flags, p.Aliases)
	}
	if len(p.Events) != 40 || strings.Contains(text, "other-control") {
		t.Errorf("got %d events, want the person's 40", len(p.Events))
	}
}

// Every table that names persons is among those that an erasure cleans, or
// stands here with the reason why not.
func TestEveryTableOfPersonsIsKnown(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	elsewhere := map[string]string{ // not in erasedRows
		"pages":       "erasePages blanks events",
		"segments":    "eraseSegments writes them anew",
		"fresh_links": "settled into identities first",
		"answers":     "dropOf writes batches anew",
		"tombstones":  "keep the person away",
		"audit":       "who was erased, when and by whom must be told",
	}
	rows, err := s.read.QueryContext(context.Background(), `SELECT m.name, group_concat(c.name, ' ') FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' GROUP BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	named := 0
	for rows.Next() {
		var table, columns string
		if err := rows.Scan(&table, &columns); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`\b(user|session|alias|subject)(_key)?\b|\bactor\b`).MatchString(columns) || elsewhere[table] != "" {
			continue
		}
		named++
		cleaned := false
		for _, e := range erasedRows {
			cleaned = cleaned || regexp.MustCompile(`(FROM|UPDATE) `+table+`\b`).MatchString(e.query)
		}
		if !cleaned {
			t.Errorf("an erasure leaves table %s, whose columns are %s", table, columns)
		}
	}
	if err := rows.Err(); err != nil || named < len(erasedRows) {
		t.Errorf("got %d tables that name persons and %v, want at least %d: the search is blind", named, err, len(erasedRows))
	}
}

// While a person is being erased, however long that takes, nothing of them is
// read any more, and who remembers anything was told before.
func TestServingStopsBeforeTheErasureEnds(t *testing.T) {
	ctx := context.Background()
	var s *Store
	var gone, stays features.UserKey
	var told []features.UserKey
	looked := 0
	o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1, seam: func(point string) error {
		if gone.IsZero() || !strings.Contains(point, "erased") && point != "segment rewritten" {
			return nil
		}
		looked++
		if len(told) == 0 {
			t.Errorf("%s: nobody was told to forget the person", point)
		}
		h := must(s.History(ctx, shop, gone, 1000))(t)
		opinions := must(s.Opinions(ctx, shop, gone, 1000))(t)
		if len(h)+len(opinions) > 0 {
			t.Errorf("%s: got %d events and %d opinions of the person, want none", point, len(h), len(opinions))
		}
		if h := must(s.History(ctx, shop, stays, 1000))(t); len(h) != 40 {
			t.Errorf("%s: got %d events of the other, want 40", point, len(h))
		}
		return nil
	}}
	s, who, other := stocked(t, o)
	if h := must(s.History(ctx, shop, who, 1000))(t); len(h) == 0 {
		t.Fatal("the person has no history before: the test is blind")
	}
	gone, stays = who, other
	must(s.Erase(ctx, shop, gone, func(keys []features.UserKey) { told = keys }))(t)
	if looked < 3 || len(told) != 2 {
		t.Errorf("looked %d times, %d keys told, want every seam, and the person and their session", looked, len(told))
	}
}
