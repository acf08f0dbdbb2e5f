package ingest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const shop = features.DefaultShop

func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// dataFile is a file of the public data sets beside the repository.
func dataFile(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("ATTUNE_PUBLIC_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not there: put the data sets beside the repository or name their folder in ATTUNE_PUBLIC_DATA", path)
	}
	return path
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func importFile(t testing.TB, s Sink, path string, m Mapping) Report {
	t.Helper()
	src, err := File(path, Format{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Import(context.Background(), src, s, Options{Mapping: m})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func events(t testing.TB, s *store.Store) (all []features.Event) {
	t.Helper()
	if err := s.Scan(context.Background(), shop, 0, 0, func(e *features.Event) error { all = append(all, *e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

const retail = `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,11111,MUG,6,2011-01-01 10:00:00,2.50,17850.0,France
2,11111,MUG,4,2011-01-02 10:00:00,2.50,17850.0,France
2,11111,MUG,4,2011-01-02 10:00:00,2.50,17850.0,France
3,POST,POSTAGE,1,2011-01-02 11:00:00,18.00,17850.0,France
4,22222a,BOX ,1,2011-01-02 12:00:00,1.00,0.0,France
5,22222a,BOX,1,2011-01-03 12:00:00,0.00,12345.0,Germany
6,22222a,BOX,1,2011-01-03 12:00:00,1.25,12345.0,Germany
C7,11111,MUG,-5,2011-01-04 10:00:00,2.50,17850.0,France
C8,33333,PEN,-1,2011-01-04 10:00:00,9.00,17850.0,France
9,,LOST,1,2011-01-05 10:00:00,2.50,17850.0,France
10,11111,MUG,0x,2011-01-05 10:00:00,2.50,17850.0,France
11,11111,MUG,1,1911-01-05 10:00:00,2.50,17850.0,France
12,11111,"MUG, BLUE"
`

func TestImportCleans(t *testing.T) {
	s := openStore(t)
	path := write(t, "retail.csv", retail)
	r := importFile(t, s, path, OnlineRetail())
	if r.Rows != 13 || r.Kept != 5 || r.Refused != 8 || r.Stored != 5 || r.Users != 2 || r.Items != 3 {
		t.Fatalf("got %+v", r)
	}
	for name, want := range map[string][3]int64{ // refused, changed, noted
		"unreadable": {2, 0, 0}, "missing_item": {1, 0, 0}, "non_product": {1, 0, 0}, "item_code_case": {0, 3, 0},
		"missing_customer": {1, 0, 0}, "non_positive_price": {1, 0, 0}, "impossible_time": {1, 0, 0}, "exact_duplicate": {1, 0, 0},
		"return": {0, 1, 1},
	} {
		rule := r.Rule(name)
		if got := [3]int64{rule.Refused, rule.Changed, rule.Noted}; got != want {
			t.Errorf("%s: got %v refused, changed and noted, want %v", name, got, want)
		}
	}
	all := events(t, s)
	back := all[3]
	if back.Type != features.Return || back.Quantity != 5 || back.Order != "2" {
		t.Errorf("return: got %s of %d in order %s, want 5 of order 2, the newest purchase", back.Type, back.Quantity, back.Order)
	}
	if want := time.Date(2011, 1, 1, 10, 0, 0, 0, time.UTC); !all[0].Time.Equal(want) {
		t.Errorf("time: got %v, want %v", all[0].Time, want)
	}
	it, err := s.GetItem(context.Background(), shop, "22222A")
	if err != nil || it.Title != "BOX" || it.PriceIn("Germany") != (features.Money{Micros: 1_250_000, Currency: "GBP"}) {
		t.Errorf("item: got %+v, %v", it, err)
	}
	dead, err := s.ListDead(context.Background(), shop, 0, 100)
	if err != nil || len(dead) != 8 {
		t.Fatalf("dead letters: got %d, %v, want 8", len(dead), err)
	}
	if want := `{"row":"12\u001f11111\u001fMUG, BLUE"}`; string(dead[7].Payload) != want {
		t.Errorf("payload: got %s, want %s", dead[7].Payload, want)
	}
	again := importFile(t, s, path, OnlineRetail())
	if again.Stored != 0 || again.Duplicates != 5 {
		t.Errorf("second import: got %d stored and %d duplicates, want 0 and 5", again.Stored, again.Duplicates)
	}
	if got := events(t, s); !reflect.DeepEqual(got, all) {
		t.Error("a second import changed the log")
	}
	if dead, err := s.ListDead(context.Background(), shop, 0, 100); err != nil || len(dead) != 8 {
		t.Errorf("dead letters after a second import: got %d, %v, want 8", len(dead), err)
	}
}

// A source that has no prices says nothing wrong by that; and a line is named
// once in what is told of it.
func TestImportWithoutPrices(t *testing.T) {
	m, err := ParseColumns("user=u,item=i,time=t,quantity=q")
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "plain.csv", "u,i,t,q\na,x,2011-01-01 10:00:00,1\na,y,2011-01-01 10:00:00,many\nb,x,2011-01-02 10:00:00,2\n")
	r := importFile(t, openStore(t), path, m)
	if r.Kept != 2 || r.Rule("non_positive_price").Refused != 0 {
		t.Errorf("got %d rows kept, %d refused for their price, want 2 and none", r.Kept, r.Rule("non_positive_price").Refused)
	}
	if e := r.Rule(unreadable).Examples; len(e) != 1 || e[0].Line != 3 || !strings.HasPrefix(e[0].Reason, "column q: ") {
		t.Errorf("got examples %+v, want line 3 and its column", e)
	}
	if text := r.Text(); strings.Count(text, "line 3") != 1 {
		t.Errorf("got %s, want line 3 named once", text)
	}
}

func TestImportNamesWhatIsWrong(t *testing.T) {
	s := openStore(t)
	for name, c := range map[string]struct{ file, columns, want string }{
		"no such column": {"a.csv", "user=U,time=T,item=I", `import a.csv: no column "I": there are U, T`},
		"no such field":  {"a.csv", "user=U,time=T,colour=C", ``},
		"empty":          {"empty.csv", "user=U,time=T", ``},
	} {
		t.Run(name, func(t *testing.T) {
			content := "U,T\n1,2011-01-01\n"
			if c.file == "empty.csv" {
				content = ""
			}
			src, err := File(write(t, c.file, content), Format{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := ParseColumns(c.columns)
			if err == nil {
				_, err = Import(context.Background(), src, s, Options{Mapping: m})
			}
			if err == nil || (c.want != "" && err.Error() != c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestImportEndsWithItsContext(t *testing.T) {
	s := openStore(t)
	src, err := File(write(t, "retail.csv", retail), Format{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Import(ctx, src, s, Options{Mapping: OnlineRetail()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestImportOnlineRetail(t *testing.T) {
	if testing.Short() {
		t.Skip("half a million rows: left out with -short")
	}
	s := openStore(t)
	path := dataFile(t, "online-retail/online_retail_sales.csv.xz")
	r := importFile(t, s, path, OnlineRetail())
	t.Log(r.Text())
	if r.Rows != 531_282 || r.Kept+r.Refused != r.Rows || r.Stored != r.Kept {
		t.Errorf("got %d rows, %d kept, %d refused, %d stored: want 531282, all of them kept or refused, all kept ones stored", r.Rows, r.Kept, r.Refused, r.Stored)
	}
	if n := r.Rule("missing_customer").Refused; n == 0 {
		t.Error("no row without customer was found")
	}
	if n := importFile(t, s, path, OnlineRetail()).Stored; n != 0 {
		t.Errorf("second import stored %d events, want 0", n)
	}
}
