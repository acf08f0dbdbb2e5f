package forecast_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/models/forecast"
)

// openData opens an .xz file of the reference data, or skips the test.
func openData(t testing.TB, name string) io.Reader {
	t.Helper()
	root := os.Getenv("ATTUNE_PUBLIC_DATA")
	if root == "" {
		root = "../../../shared/data"
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

// score returns the mean SMAPE of the tasks of a period, which have tests.
func score(t testing.TB, tasks []forecast.Task, period string) float64 {
	t.Helper()
	var series []forecast.Series
	var tests [][]float64
	for _, task := range tasks {
		if task.Period == period {
			series, tests = append(series, task.Series), append(tests, task.Test)
		}
	}
	forecasts, _, err := forecast.Auto(t.Context(), series, len(tests[0]), forecast.Options{Loss: forecast.SymmetricError})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, f := range forecasts {
		sum += forecast.SMAPE(tests[i], f.Mean)
	}
	return sum / float64(len(forecasts))
}

// The bounds are the published figures of the Theta method on the same series
// (yearly, quarterly), and below those of the (seasonal) naive forecast.
func TestCompetitions(t *testing.T) {
	m3, err := forecast.ReadM3(openData(t, "m3/m3_series.csv.xz"))
	if err != nil {
		t.Fatal(err)
	}
	m4 := func(name string) []forecast.Task {
		if testing.Short() {
			return nil
		}
		tasks, err := forecast.ReadM4(openData(t, "m4-hourly-weekly/"+name+"-train.csv.xz"), openData(t, "m4-hourly-weekly/"+name+"-test.csv.xz"))
		if err != nil {
			t.Fatal(err)
		}
		return tasks
	}
	for _, c := range []struct {
		tasks  []forecast.Task
		period string
		most   float64
	}{
		{m3, "yearly", 16.87},
		{m3, "quarterly", 8.96},
		{m4("Weekly"), "weekly", 8.7},
		{m4("Hourly"), "hourly", 11.8},
	} {
		if c.tasks == nil {
			continue
		}
		if got := score(t, c.tasks, c.period); got > c.most {
			t.Errorf("%s: got SMAPE %.3f, want at most %.2f", c.period, got, c.most)
		}
	}
}
