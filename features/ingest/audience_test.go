package ingest

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/attune-rec/attune/features"
)

// SHA-256 of ann@example.com, made by sha256sum.
const annHash = "71d4f55f72fa128dfb468a1a3901507c804b74316488744d769d7f4b16696476"

func audienceOptions(t *testing.T, columns string) AudienceOptions {
	t.Helper()
	m, err := ParseFields(columns, AudienceFields())
	if err != nil {
		t.Fatal(err)
	}
	return AudienceOptions{RecordOptions: RecordOptions{Columns: m}}
}

func TestAudienceFromEveryFormat(t *testing.T) {
	type row struct {
		Hash string `parquet:"hash"`
		User string `parquet:"user"`
		List string `parquet:"list"`
		End  string `parquet:"end"`
	}
	rows := []row{{strings.ToUpper(annHash), "", "High value", "2027-01-31"}, {"", "bob", "lapsed", ""}}
	path := filepath.Join(t.TempDir(), "list.parquet")
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	packed, err := File(path, Format{})
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []Source{
		packed,
		written(t, "list.csv", "hash,user,list,end\n"+strings.ToUpper(annHash)+",,High value,2027-01-31\n,bob,lapsed,\n"),
		written(t, "list.jsonl", `{"hash":"`+annHash+`","list":"High value","end":"2027-01-31"}`+"\n"+`{"user":"bob","list":"lapsed"}`+"\n"),
	} {
		ctx := context.Background()
		s := openStore(t)
		o := audienceOptions(t, "email_sha256=hash,user=user,audience=list,expires=end")
		o.Partner = "Acme CRM"
		r, err := Audience(ctx, src, s, o)
		if err != nil || r.Stored != 2 || r.Refused != 0 {
			t.Fatalf("%s: got %+v, %v", src.Name(), r, err)
		}
		names, err := s.Pseudonyms(ctx, shop)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Memberships(ctx, shop, []features.UserKey{names.User("email:" + annHash)})
		if err != nil || len(got) != 1 || got[0].Audience != "High value" || got[0].Source != "Acme CRM" ||
			!got[0].Expires.Equal(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: got %+v, %v", src.Name(), got, err)
		}
		if r, err := Audience(ctx, src, s, o); err != nil || r.Stored != 0 || r.Same != 2 {
			t.Errorf("%s: got %+v, %v of the second import: want nothing new", src.Name(), r, err)
		}
	}
}

// What cannot be taken is kept with line, column and what would mend it; a plain
// address stands in no message and can be erased by its hash.
func TestAudienceRowsThatCannotBeTaken(t *testing.T) {
	ctx := context.Background()
	s := openStore(t)
	src := written(t, "l.csv", "hash,device,end\nann@example.com,,\nabc,,\n,,\n,tv,soon\n"+annHash+",phone,\n")
	o := audienceOptions(t, "email_sha256=hash,device=device,expires=end")
	o.Name = "vip"
	r, err := Audience(ctx, src, s, o)
	if err != nil || r.Rows != 5 || r.Stored != 1 || r.Refused != 4 {
		t.Fatalf("got %+v, %v", r, err)
	}
	letters, err := s.ListDead(ctx, shop, 0, 10)
	if err != nil || len(letters) != 4 {
		t.Fatalf("got %+v, %v", letters, err)
	}
	for i, want := range []string{"column hash: is an address", "column hash: \"abc\" is no SHA-256", "names nobody", "column end: "} {
		if l := letters[i]; !strings.HasPrefix(l.Reason, want) || strings.Contains(l.Reason, "example.com") || l.Rule != "audience" {
			t.Errorf("got %+v, want %s", l, want)
		}
	}
	names, err := s.Pseudonyms(ctx, shop)
	if err != nil || letters[0].User != names.User("email:"+annHash) || letters[0].Source != "l.csv:2" {
		t.Errorf("got %+v, %v: want the letter to be of who has the address", letters[0], err)
	}
}

func TestAudienceIsReplaced(t *testing.T) {
	ctx := context.Background()
	s := openStore(t)
	o := audienceOptions(t, "user=id")
	o.Name, o.Replace = "vip", true
	for _, step := range []struct {
		body            string
		stored, removed int64
		size            int64
	}{{"id\nann\nbob\n", 2, 0, 2}, {"id\nbob\ncid\n", 1, 1, 2}, {"id\nbob\ncid\n", 0, 0, 2}} {
		r, err := Audience(ctx, written(t, "l.csv", step.body), s, o)
		if err != nil || r.Stored != step.stored || r.Removed != step.removed {
			t.Errorf("%q: got %+v, %v", step.body, r, err)
		}
	}
	if _, err := Audience(ctx, written(t, "l.csv", "id\n"), s, o); err == nil {
		t.Error("got no error for a file that would empty the list")
	}
	if a, err := s.GetAudience(ctx, shop, "vip"); err != nil || a.Size != 2 {
		t.Errorf("got %+v, %v: want the list as it was", a, err)
	}
}
