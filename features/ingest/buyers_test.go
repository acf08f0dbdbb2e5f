package ingest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/features/raced"
)

// planted is the head of the real file with a bot of 400 orders on one day and
// a buyer of 90,000 pieces an order put in.
func planted(t *testing.T) string {
	t.Helper()
	f, err := os.Open(dataFile(t, "online-retail/online_retail_sales.csv.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	lines := bufio.NewScanner(in)
	for n := 0; n < 80_000 && lines.Scan(); n++ {
		b.WriteString(lines.Text() + "\n")
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	for i := range 400 {
		fmt.Fprintf(&b, "9%05d,22423,PLANTED,1,2011-11-01 %02d:%02d:00,2.50,99001,France\n", i, 8+i/60, i%60)
	}
	for i := range 4 {
		fmt.Fprintf(&b, "8%05d,22423,PLANTED,90000,2011-11-%02d 10:00:00,2.50,99002,France\n", i, i+1)
	}
	return write(t, "planted.csv", b.String())
}

func TestPlantedBotsAndBulkBuyers(t *testing.T) {
	if raced.On {
		t.Skip("one goroutine: there is nothing to race with")
	}
	path := planted(t)
	s := openStore(t)
	mapping := OnlineRetail()
	src, err := File(path, Format{})
	if err != nil {
		t.Fatal(err)
	}
	names, err := s.Pseudonyms(context.Background(), shop)
	if err != nil {
		t.Fatal(err)
	}
	noted, err := Import(context.Background(), src, s, Options{Mapping: mapping})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, b := range noted.Buyers {
		kinds[b.Subject] = b.Kind
	}
	for id, kind := range map[string]string{"99001": Bot, "99002": Bulk} {
		if got := kinds[names.User(id).String()]; got != kind {
			t.Errorf("planted %s: got %q, want it flagged", kind, got)
		}
	}
	if n, most := len(kinds), 2+noted.Users/100; n > most {
		t.Errorf("got %d of %d shoppers flagged: want at most %d", n, noted.Users, most)
	}
	if got := noted.Rule(Bot).Noted; got < 400 {
		t.Errorf("got %d rows of bots noted, want 400 at least", got)
	}
	other := openStore(t)
	set, err := Import(context.Background(), src, other, Options{Mapping: mapping, Quarantine: []string{Bot, Bulk}})
	if err != nil {
		t.Fatal(err)
	}
	if set.Rule(Bot).Refused != noted.Rule(Bot).Noted || set.Rule(Bulk).Refused == 0 {
		t.Errorf("in quarantine: got %d and %d rows refused, want %d of bots and some of bulk buyers", set.Rule(Bot).Refused, set.Rule(Bulk).Refused, noted.Rule(Bot).Noted)
	}
	if names, err = other.Pseudonyms(context.Background(), shop); err != nil {
		t.Fatal(err)
	}
	for _, e := range events(t, other) {
		if e.User == names.User("99001") || e.User == names.User("99002") {
			t.Fatalf("event %d of a shopper in quarantine is in the log", e.Seq)
		}
	}
	var page bytes.Buffer
	if err := noted.HTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "Bots and bulk buyers", noted.Buyers[0].Subject, "acts on one day"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

func TestHTMLEscapes(t *testing.T) {
	r := Report{Source: "<script>x</script>", Rows: 1, Rules: []RuleReport{{Name: "a", Refused: 1, Examples: []Example{{1, "<b>"}}}}}
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	if s := page.String(); strings.Contains(s, "<script>") || strings.Contains(s, "<b>:") {
		t.Errorf("the report is not escaped: %s", s)
	}
}
