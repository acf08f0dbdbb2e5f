package job

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// reply runs a command with --json and reads its document.
func reply(t *testing.T, into any, args ...string) {
	t.Helper()
	out, _, err := call(t, append(args, "--json")...)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
}

// The shop sells ten pieces a day, all in one market.
func TestDemandOfAShop(t *testing.T) {
	dir := dataDir(t)
	var got demandReport
	reply(t, &got, "demand", "--data", dir, "--by", "market", "--weeks", "3")
	if len(got.Forecasts) != 1 || got.Forecasts[0].Name != "DE" {
		t.Fatalf("got %+v, want one series of the one market", got.Forecasts)
	}
	for week, v := range got.Forecasts[0].Mean {
		if math.Abs(v-70) > 4 {
			t.Errorf("week %d: got %.1f pieces, want about 70", week+1, v)
		}
	}
	reply(t, &got, "demand", "--data", dir, "--by", "item,market", "--judge", "2")
	if j := got.Judged; j == nil || j.Series < 60 || j.Points < 480 || !(j.Loss < j.NaiveLoss) || j.Coverage < .6 {
		t.Errorf("got %+v, want 2 rounds of 4 weeks of most of 120 items, better than naive", got.Judged)
	}
	text, _, err := call(t, "demand", "--data", dir, "--by", "all")
	if err != nil || !strings.Contains(text, "week from 2011-09-") || !strings.Contains(text, "1 of 1 series forecast") {
		t.Errorf("got %v, %s", err, text)
	}
}

// Revenue is by currency: of what is expected in euro three quarters are of
// Germany, francs are a whole of their own. What has no price is no revenue.
func TestRevenueByMarket(t *testing.T) {
	dir := dataDir(t) // without prices
	if _, _, err := call(t, "demand", "--data", dir, "--measure", "revenue"); err == nil || !strings.Contains(err.Error(), "--measure pieces") {
		t.Errorf("got %v, want that no purchase has a price", err)
	}
	s, err := store.Open(context.Background(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var events []features.Event
	for week := range 60 {
		for _, of := range []struct {
			market, currency string
			units            int64
		}{{"DE", "EUR", 30}, {"FR", "EUR", 10}, {"CH", "CHF", 7}} {
			at := time.Date(2010, 6, 7, 12, 0, 0, 0, time.UTC).AddDate(0, 0, 7*week)
			events = append(events, features.Event{
				ID: of.market + at.String(), Type: features.Purchase, User: features.UserKey{9}, Item: "item-001", Market: of.market, Time: at,
				Quantity: 2, Price: features.Money{Micros: of.units * 500_000, Currency: of.currency},
			})
		}
	}
	_, err = s.Append(context.Background(), features.DefaultShop, events)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	var got demandReport
	reply(t, &got, "demand", "--data", dir, "--by", "market", "--measure", "revenue", "--weeks", "2")
	want := map[string][2]float64{"EUR | DE": {30, .75}, "EUR | FR": {10, .25}, "CHF | CH": {7, 1}}
	if len(got.Forecasts) != len(want) {
		t.Fatalf("got %+v, want %d series", got.Forecasts, len(want))
	}
	for _, f := range got.Forecasts {
		w := want[f.Name]
		if math.Abs(f.Past-w[0]) > 1e-9 || math.Abs(f.Share-w[1]) > .01 {
			t.Errorf("%s: got %v a week, a share of %v, want %v and %v", f.Name, f.Past, f.Share, w[0], w[1])
		}
		if f.Year == nil || math.Abs(*f.Year) > 1e-9 || f.Growth == nil || math.Abs(*f.Growth) > .01 {
			t.Errorf("%s: got growth of %v in a year, %v expected, want none of either", f.Name, f.Year, f.Growth)
		}
	}
}

// Every shopper buys every fourth day, so none stays away for a week.
func TestCustomersOfAShop(t *testing.T) {
	dir := dataDir(t)
	var got customersReport
	reply(t, &got, "customers", "--data", dir, "--days", "3")
	if got.Customers != 40 || len(got.Outlooks) != 40 || got.At.Format(time.DateOnly) != "2011-09-28" {
		t.Fatalf("got %d shoppers at %v, want 40 at the last day of sales", got.Customers, got.At)
	}
	sum := 0.0
	for _, o := range got.Outlooks {
		sum += o.Chance
		if math.Abs(o.Chance+o.Churn-1) > 1e-12 {
			t.Errorf("%s: buys with %v and does not with %v", o.Key, o.Chance, o.Churn)
		}
	}
	if math.Abs(sum-30) > 2 {
		t.Errorf("got %.1f expected to buy within 3 of 4 days, want about 30 of 40", sum)
	}
	var judged judgedReport
	reply(t, &judged, "customers", "--data", dir, "--days", "3", "--judge", "2")
	if len(judged.Times) != 2 || judged.Times[0].Propensity.Customers != 40 || judged.All.Propensity.Customers != 80 {
		t.Fatalf("got %+v, want 40 shoppers at each of 2 times", judged)
	}
	for _, j := range append(judged.Times, judged.All) {
		if j.Propensity.AUC < .9 || math.Abs(j.Mean-j.Propensity.Share) > .1 {
			t.Errorf("got %+v, want the rhythm found", j)
		}
	}
}

func TestPredictionRefuses(t *testing.T) {
	dir := dataDir(t)
	for _, c := range []struct{ args, want string }{
		{"demand --by colour", "expected item, category"},
		{"demand --weeks 0", "--weeks is 0"},
		{"demand --shop Other!", "--shop"},
		{"demand --shop other", "no purchases"},
		{"demand --known 400", "none is known for 400 weeks"},
		{"customers --days 0", "--days is 0"},
		{"customers --days 100", "days of purchases"},
		{"customers --margin 2", "--margin is 2"},
	} {
		_, _, err := call(t, append(strings.Fields(c.args), "--data", dir)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.args, err, c.want)
		}
	}
}

// Who did not agree to analytics is not in what is learnt of sales.
func TestPredictionLeavesOutWhoDidNotAgree(t *testing.T) {
	dir := dataDir(t)
	s, err := store.Open(context.Background(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	only := features.Personalisation
	var users []store.User
	for u := range 10 {
		users = append(users, store.User{Key: features.UserKey{1, byte(u)}, Consent: &only})
	}
	if err := errors.Join(s.PutUsers(context.Background(), features.DefaultShop, users), s.Close()); err != nil {
		t.Fatal(err)
	}
	var shoppers customersReport
	reply(t, &shoppers, "customers", "--data", dir, "--days", "3")
	if shoppers.Customers != 30 {
		t.Errorf("got %d shoppers, want the 30 who agreed", shoppers.Customers)
	}
	var sold demandReport
	reply(t, &sold, "demand", "--data", dir, "--by", "market", "--weeks", "1")
	if len(sold.Forecasts) != 1 || math.Abs(sold.Forecasts[0].Mean[0]-52.5) > 4 {
		t.Errorf("got %+v, want about 52 pieces a week of those who agreed", sold.Forecasts)
	}
}

// Groups have a rule each, and motives are measured at three times.
func TestSegmentsOfAShop(t *testing.T) {
	dir := dataDir(t)
	var got segmentsReport
	reply(t, &got, "segments", "--data", dir, "--least", "2", "--most", "3")
	members := 0
	for _, d := range got.Segments {
		if members += d.Size; d.Rule == "" || len(d.Traits) > 5 {
			t.Errorf("got %+v, want a rule and at most five traits", d)
		}
	}
	if got.Buyers != 40 || members != 40 || len(got.Segments) < 2 {
		t.Errorf("got %d members in %d segments of %d buyers, want all 40 in 2 or 3", members, len(got.Segments), got.Buyers)
	}
	reply(t, &got, "segments", "--data", dir, "--judge")
	if len(got.Halves) != 4 || len(got.Bargains) != 3 || got.Bargains[2].Shoppers != 40 {
		t.Errorf("got %+v and %+v, want three motives, styles and three times with 40 shoppers", got.Halves, got.Bargains)
	}
	if _, _, err := call(t, "segments", "--data", dir, "--least", "5", "--most", "2"); err == nil {
		t.Error("fewer groups at most than at least were accepted")
	}
}
