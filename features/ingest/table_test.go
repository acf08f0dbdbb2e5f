package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

func written(t *testing.T, name, body string) Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := File(path, Format{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func userOptions(t *testing.T, columns string) RecordOptions {
	t.Helper()
	m, err := ParseFields(columns, UserFields())
	if err != nil {
		t.Fatal(err)
	}
	return RecordOptions{Columns: m}
}

func TestUsersFromEveryFormat(t *testing.T) {
	type row struct {
		ID    string `parquet:"id"`
		Land  string `parquet:"land"`
		Langs string `parquet:"langs"`
		News  string `parquet:"news"`
	}
	rows := []row{{"ann", "DE", "de;en", "yes"}, {"bob", "FR", "fr", "no"}}
	path := filepath.Join(t.TempDir(), "users.parquet")
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	packed, err := File(path, Format{})
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []Source{
		packed,
		written(t, "users.csv", "id,land,langs,news\nann,DE,de;en,yes\nbob,FR,fr,no\n"),
		written(t, "users.jsonl", `{"id":"ann","land":"DE","langs":["de","en"],"news":true}`+"\n"+`{"id":"bob","land":"FR","langs":"fr","news":false}`+"\n"),
	} {
		s := openStore(t)
		ctx := context.Background()
		o := userOptions(t, "id=id,market=land,languages=langs,marketing=news")
		r, err := Users(ctx, src, s, o)
		if err != nil || r.Stored != 2 || r.Refused != 0 {
			t.Fatalf("%s: got %+v, %v", src.Name(), r, err)
		}
		names, err := s.Pseudonyms(ctx, shop)
		if err != nil {
			t.Fatal(err)
		}
		u, err := s.GetUser(ctx, shop, names.User("ann"))
		if err != nil || u.ID != "ann" || u.Market != "DE" || !reflect.DeepEqual(u.Languages, []string{"de", "en"}) || *u.Consent != features.Marketing {
			t.Errorf("%s: got %+v, %v", src.Name(), u, err)
		}
		if r, err := Users(ctx, src, s, o); err != nil || r.Stored != 0 || r.Same != 2 {
			t.Errorf("%s: got %+v, %v of the second import: want nothing new", src.Name(), r, err)
		}
	}
}

func TestUserRowsChangeWhatTheyFill(t *testing.T) {
	ctx := context.Background()
	s := openStore(t)
	names, err := s.Pseudonyms(ctx, shop)
	if err != nil {
		t.Fatal(err)
	}
	all := features.AllPurposes
	err = s.PutUsers(ctx, shop, []store.User{{ID: "ann", Consent: &all, Market: "DE", Personal: store.Personal{Gender: "f", Attributes: map[string]string{"club": "gold"}}}})
	if err != nil {
		t.Fatal(err)
	}
	src := written(t, "u.csv", "id,market,news,shoe,since\nann,AT,no,38,2020-02-03\n,DE,,,\nbob,DE,perhaps,,\ncid,DE,,,long ago\nann,,,39,\n")
	r, err := Users(ctx, src, s, userOptions(t, "id=id,market=market,marketing=news,attr.shoe=shoe,registered=since"))
	if err != nil || r.Rows != 5 || r.Stored != 2 || r.Refused != 3 {
		t.Fatalf("got %+v, %v", r, err)
	}
	u, err := s.GetUser(ctx, shop, names.User("ann"))
	if err != nil || u.Market != "AT" || u.Personal.Gender != "f" || *u.Consent != all&^features.Marketing ||
		u.Personal.Attributes["club"] != "gold" || u.Personal.Attributes["shoe"] != "39" || u.Personal.Registered.Year() != 2020 {
		t.Errorf("got %+v, %v: want what the rows fill, and the rest as it was", u, err)
	}
	letters, err := s.ListDead(ctx, shop, 0, 10)
	if err != nil || len(letters) != 3 || letters[1].Source != "u.csv:4" || letters[1].User != names.User("bob") || !strings.Contains(letters[1].Reason, "news") {
		t.Errorf("got %+v, %v: want each refused row with its line and column", letters, err)
	}
	if _, err := s.GetUser(ctx, shop, names.User("bob")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v: want nothing stored of a refused row", err)
	}
}

// An import that ends in the middle is completed by the next.
func TestInterruptedImportIsCompleted(t *testing.T) {
	var b strings.Builder
	b.WriteString("id,market\n")
	for i := range 3500 {
		fmt.Fprintf(&b, "u%d,DE\n", i)
	}
	src := written(t, "many.csv", b.String())
	s := openStore(t)
	ctx, cancel := context.WithCancel(context.Background())
	o := userOptions(t, "id=id,market=market")
	o.Progress = func(p Progress) {
		if p.Rows >= 2000 {
			cancel()
		}
	}
	first, err := Users(ctx, src, s, o)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the end that was asked for", err)
	}
	o.Progress = nil
	second, err := Users(context.Background(), src, s, o)
	if err != nil || second.Rows != 3500 || second.Same < 1000 || second.Stored+second.Same != 3500 || first.Rows >= 3500 {
		t.Errorf("got %+v after %+v, %v", second, first, err)
	}
}

func TestItemsFromATable(t *testing.T) {
	ctx := context.Background()
	s := openStore(t)
	src := written(t, "goods.csv", "sku,name,name_en,path,eur,at,left,stars,days,back,sold,shows\n"+
		"m1,Tasse,Mug,Home > Kitchen,4.50,4.90,12,4.5,3,.08,1200,m2;m3\nm2,Teller,,Home/Kitchen,7,,0,9,,,,\nm3,Topf,,Home,-1,,,,,,,\nm1,Becher,,,5,,,,,,,\nm4,Kanne,,,9,,,,,,-1,\n")
	m, err := ParseFields("id=sku,title=name,title.en=name_en,category=path,price=eur,price.AT=at,stock=left,rating=stars,delivery_days=days,return_rate=back,sales=sold,links=shows", ItemFields())
	if err != nil {
		t.Fatal(err)
	}
	o := RecordOptions{Columns: m, Currency: "EUR"}
	r, err := Items(ctx, src, s, o)
	if err != nil || r.Rows != 5 || r.Stored != 2 || r.Refused != 3 {
		t.Fatalf("got %+v, %v", r, err)
	}
	it, err := s.GetItem(ctx, shop, "m1")
	if err != nil || it.Title != "Becher" || it.TitleIn("en") != "Mug" || it.PriceIn("").Units() != 5 || it.PriceIn("AT").Units() != 4.9 ||
		!reflect.DeepEqual(it.Category, []string{"Home", "Kitchen"}) || it.Stock[""] != 12 || it.Kind != features.Product ||
		it.Days != 3 || it.ReturnRate != .08 || it.Sales != 1200 || !reflect.DeepEqual(it.Links, []string{"m2", "m3"}) {
		t.Errorf("got %+v, %v", it, err)
	}
	before := it.Updated
	if _, err := Items(ctx, written(t, "one.csv", "sku\nm1\n"), s, RecordOptions{Columns: map[string]string{"id": "sku"}}); err != nil {
		t.Fatal(err)
	}
	if it, err = s.GetItem(ctx, shop, "m1"); err != nil || !it.Updated.Equal(before) {
		t.Errorf("got an update of %v, %v: want none of an item that is as stored", it.Updated, err)
	}
	if _, err := ParseFields("id=sku,colour=c", ItemFields()); err == nil {
		t.Error("a field that there is not was taken")
	}
	if _, err := ParseFields("title=c", ItemFields()); err == nil {
		t.Error("columns without an id were taken")
	}
}
