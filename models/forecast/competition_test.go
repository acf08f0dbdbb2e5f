package forecast_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/models/forecast"
)

// openData opens an .xz file of the reference data, or skips the test.
func openData(t testing.TB, name string) io.Reader {
	t.Helper()
	root := os.Getenv("ATTUNE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	f, err := os.Open(filepath.Join(root, name))
	if os.IsNotExist(err) {
		t.Skipf("no reference data: %s is not below %s; set ATTUNE_DATA to the data folder", name, root)
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

// outcome is how well the tasks of one period went.
type outcome struct {
	smape          float64
	in80, in95, of int
	choices        []forecast.Choice
}

func compete(t testing.TB, tasks []forecast.Task, period string) outcome {
	t.Helper()
	var series []forecast.Series
	var tests [][]float64
	h := 0
	for _, task := range tasks {
		if task.Period == period {
			series, tests, h = append(series, task.Series), append(tests, task.Test), task.Horizon
		}
	}
	start := time.Now()
	forecasts, choices, err := forecast.Auto(t.Context(), series, h, forecast.Options{Loss: forecast.SymmetricError})
	if err != nil {
		t.Fatal(err)
	}
	o := outcome{choices: choices}
	n := 0.0
	for i, f := range forecasts {
		if tests[i] == nil {
			continue
		}
		n++
		o.smape += forecast.SMAPE(tests[i], f.Mean)
		in, of := forecast.Coverage(tests[i], f.Low80, f.High80)
		o.in80, o.of = o.in80+in, o.of+of
		in, _ = forecast.Coverage(tests[i], f.Low95, f.High95)
		o.in95 += in
	}
	o.smape /= n
	t.Logf("%s: %d series in %v; %+v", period, len(series), time.Since(start), choices)
	return o
}

func TestDev(t *testing.T) {
	m3, err := forecast.ReadM3(openData(t, "m3/m3_series.csv.xz"))
	if err != nil {
		t.Fatal(err)
	}
	show := os.Getenv("SHOW") != ""
	for _, p := range []string{"yearly", "quarterly", "monthly", "other"} {
		if os.Getenv("SKIPM3") != "" {
			break
		}
		o := compete(t, m3, p)
		if show {
			t.Logf("TEST %s smape %.3f cover %.4f %.4f", p, o.smape, float64(o.in80)/float64(o.of), float64(o.in95)/float64(o.of))
		}
	}
	for _, p := range []string{"Hourly", "Weekly"} {
		m4, err := forecast.ReadM4(openData(t, "m4-hourly-weekly/"+p+"-train.csv.xz"), openData(t, "m4-hourly-weekly/"+p+"-test.csv.xz"))
		if err != nil {
			t.Fatal(err)
		}
		o := compete(t, m4, m4[0].Period)
		if show {
			t.Logf("TEST %s smape %.3f cover %.4f %.4f", p, o.smape, float64(o.in80)/float64(o.of), float64(o.in95)/float64(o.of))
		}
	}
}
