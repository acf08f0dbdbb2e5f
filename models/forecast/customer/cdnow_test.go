package customer_test

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/models/forecast/customer"
)

// openData opens an .xz file of the reference data, or skips the test.
func openData(t testing.TB, name string) io.Reader {
	t.Helper()
	root := os.Getenv("ATTUNE_PUBLIC_DATA")
	if root == "" {
		root = "../../../../shared/data"
	}
	f, err := os.Open(filepath.Join(root, name))
	if os.IsNotExist(err) {
		t.Skipf("no reference data: %s is not below %s; set ATTUNE_PUBLIC_DATA to the data folder", name, root)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const week = 7 * 24 * time.Hour

// cdnow holds the purchases of the CDNOW sample by customer, in the order of the
// file: 2,357 customers who began in the first quarter of 1997.
func cdnow(t testing.TB) [][]customer.Purchase {
	t.Helper()
	var all [][]customer.Purchase
	last := ""
	for lines := bufio.NewScanner(openData(t, "cdnow/CDNOW_sample.txt.xz")); lines.Scan(); {
		var master, id, date string
		var discs int
		var dollars float64
		if _, err := fmt.Sscan(lines.Text(), &master, &id, &date, &discs, &dollars); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		day, err := time.Parse("20060102", date)
		if err != nil {
			t.Fatal(err)
		}
		if id != last {
			all = append(all, nil)
			last = id
		}
		all[len(all)-1] = append(all[len(all)-1], customer.Purchase{Time: day, Value: dollars})
	}
	return all
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

func calibration(t testing.TB) (histories []customer.History, spends []customer.Spend, later []int) {
	t.Helper()
	end, last := day(1997, time.September, 30), day(1998, time.June, 30)
	for _, purchases := range cdnow(t) {
		h, s, ok := customer.Summarise(purchases, end, week)
		full, _, _ := customer.Summarise(purchases, last, week)
		if !ok {
			t.Fatal("a customer without a purchase in the period")
		}
		histories, spends = append(histories, h), append(spends, s)
		later = append(later, full.Repeats-h.Repeats)
	}
	return histories, spends, later
}

// The estimates of Fader, Hardie and Lee (2005, table 2), and the value of
// gamma-gamma of Fader and Hardie (2013).
func TestCDNOWPublished(t *testing.T) {
	histories, spends, later := calibration(t)
	if len(histories) != 2357 {
		t.Fatalf("customers: got %d, want 2357", len(histories))
	}
	m, err := customer.FitBGNBD(histories)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%.3f %.3f %.3f %.3f", m.R, m.Alpha, m.A, m.B), "0.243 4.414 0.793 2.426"; got != want {
		t.Errorf("r, alpha, a, b: got %s, want %s", got, want)
	}
	loglik, err := m.LogLikelihood(histories)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%.1f", loglik); got != "-9582.4" {
		t.Errorf("log-likelihood: got %s, want -9582.4", got)
	}
	g, err := customer.FitGammaGamma(spends)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%.2f %.2f %.2f", g.P, g.Q, g.Gamma), "6.25 3.74 15.44"; got != want {
		t.Errorf("p, q, gamma: got %s, want %s", got, want)
	}
	total, cumulative, actual, observed := 0.0, 0.0, 0, 0
	for i, h := range histories {
		total += m.Purchases(h, 39)
		cumulative += m.Mean(h.Age + 39)
		actual += later[i]
		observed += h.Repeats
	}
	// The paper's tracking plot: 4 % below the purchases of all 78 weeks.
	if got := fmt.Sprintf("%.1f", 100*(cumulative/float64(observed+actual)-1)); got != "-4.1" {
		t.Errorf("78 weeks: got %s %%, want -4.1 %%", got)
	}
	// Python's lifetimes 0.11.3 expects 1653.4 on the same histories.
	if got := fmt.Sprintf("%.1f of %d", total, actual); got != "1653.4 of 1882" {
		t.Errorf("39 weeks of holdout: got %s, want 1653.4 of 1882", got)
	}
}

// The back-test inside the 39 weeks brings the total of the next 39 near.
func TestCDNOWHoldoutTotal(t *testing.T) {
	histories, spends, later := calibration(t)
	m, err := customer.Fit(cdnow(t), day(1997, time.September, 30), week)
	if err != nil {
		t.Fatal(err)
	}
	expected, actual := 0.0, 0
	for i, h := range histories {
		o, err := m.Outlook(h, spends[i], customer.Terms{Horizon: 39, Margin: 1})
		if err != nil {
			t.Fatal(err)
		}
		expected += o.Purchases
		actual += later[i]
	}
	t.Logf("scale %.4f: %.1f repeat purchases expected, %d made, %+.1f %%", m.Scale, expected, actual, 100*(expected/float64(actual)-1))
	if math.Abs(expected/float64(actual)-1) > 0.10 {
		t.Errorf("got %.0f repeat purchases expected, want within 10 %% of %d", expected, actual)
	}
}

// The summary that comes with the data is made another way and must agree.
func TestCDNOWSummary(t *testing.T) {
	histories, _, _ := calibration(t)
	rows, err := csv.NewReader(openData(t, "cdnow/cdnow_customers_summary.csv.xz")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows[1:] {
		last, errL := strconv.ParseFloat(row[2], 64)
		age, errA := strconv.ParseFloat(row[3], 64)
		if errL != nil || errA != nil {
			t.Fatalf("row %d: %q", i, row)
		}
		h := histories[i]
		if strconv.Itoa(h.Repeats) != row[1] || math.Abs(h.Last-last) > 0.006 || math.Abs(h.Age-age) > 0.006 {
			t.Errorf("customer %d: got %+v, want %s", i+1, h, row)
		}
	}
}
