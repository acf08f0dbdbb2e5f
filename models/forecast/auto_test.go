package forecast_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/models/forecast"
)

// noisy draws series of a level, a trend, a season of 4 and noise.
func noisy(n, length int) []forecast.Series {
	random := rand.New(rand.NewPCG(5, 6))
	out := make([]forecast.Series, n)
	for i := range out {
		level, slope := 50+50*random.Float64(), random.NormFloat64()
		values := make([]float64, length)
		for k := range values {
			values[k] = level + slope*float64(k) + 8*float64(k%4) + 4*random.NormFloat64()
		}
		out[i] = forecast.Series{Name: fmt.Sprint(i), Values: values, Seasons: []int{4}}
	}
	return out
}

func TestAutoIsTheSameForAnyWorkers(t *testing.T) {
	series := noisy(20, 40)
	var first string
	for _, workers := range []int{1, 3} {
		f, c, err := forecast.Auto(t.Context(), series, 6, forecast.Options{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(f, c); first == "" {
			first = text
		} else if text != first {
			t.Errorf("%d workers forecast otherwise than 1", workers)
		}
	}
}

// On series that go on as they were, intervals cover what they promise.
func TestIntervalsCover(t *testing.T) {
	const h = 6
	series := noisy(200, 46)
	var past []forecast.Series
	for _, s := range series {
		past = append(past, forecast.Series{Name: s.Name, Values: s.Values[:len(s.Values)-h], Seasons: s.Seasons})
	}
	found, _, err := forecast.Auto(t.Context(), past, h, forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var in80, in95, of int
	for i, f := range found {
		actual := series[i].Values[len(series[i].Values)-h:]
		in, n := forecast.Coverage(actual, f.Low80, f.High80)
		in80, of = in80+in, of+n
		in, _ = forecast.Coverage(actual, f.Low95, f.High95)
		in95 += in
	}
	got80, got95 := float64(in80)/float64(of), float64(in95)/float64(of)
	if math.Abs(got80-0.80) > 0.05 || math.Abs(got95-0.95) > 0.03 {
		t.Errorf("covered: got %.3f and %.3f, want about 0.80 and 0.95", got80, got95)
	}
}

func TestAutoOnLittle(t *testing.T) {
	series := []forecast.Series{
		{Name: "one", Values: []float64{5}},
		{Name: "flat", Values: []float64{3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3}},
		{Name: "zero", Values: make([]float64, 20), Seasons: []int{4}},
		{Name: "rare", Values: []float64{0, 0, 4, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 5, 0, 0, 1}},
	}
	found, choices, err := forecast.Auto(t.Context(), series, 3, forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(choices) != 3 {
		t.Errorf("groups: got %d, want 3: no season, a season, intermittent", len(choices))
	}
	for i, want := range []float64{5, 3, 0} {
		if got := found[i].Mean[2]; math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: got %v, want %v", series[i].Name, got, want)
		}
	}
	for _, f := range found {
		for k := range f.Mean {
			if !(f.Low95[k] <= f.Low80[k] && f.Low80[k] <= f.Mean[k] && f.Mean[k] <= f.High80[k] && f.High80[k] <= f.High95[k] && f.Low95[k] >= 0) {
				t.Errorf("%s: bounds %v %v %v %v %v are not in order", f.Name, f.Low95[k], f.Low80[k], f.Mean[k], f.High80[k], f.High95[k])
			}
		}
	}
}

func TestAutoRefuses(t *testing.T) {
	good := []float64{1, 2, 3}
	for _, c := range []struct {
		series forecast.Series
		h      int
		want   string
	}{
		{forecast.Series{Name: "a", Values: good}, 0, "at least 1"},
		{forecast.Series{Name: "a"}, 1, "series a: no values"},
		{forecast.Series{Name: "a", Values: []float64{1, math.NaN()}}, 1, "value 2 is NaN"},
		{forecast.Series{Name: "a", Values: good, Seasons: []int{4, 4}}, 1, "rising"},
	} {
		_, _, err := forecast.Auto(t.Context(), []forecast.Series{c.series}, c.h, forecast.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want %q in it", err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := forecast.Auto(ctx, noisy(3, 20), 3, forecast.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestMetrics(t *testing.T) {
	if got := forecast.SMAPE([]float64{100, 0}, []float64{50, 0}); math.Abs(got-100.0/3) > 1e-9 {
		t.Errorf("sMAPE: got %v, want 33.33", got)
	}
	if got := forecast.QuantileLoss([]float64{10, 10}, []float64{8, 14}, 0.9); math.Abs(got-(0.9*2+0.1*4)) > 1e-9 {
		t.Errorf("quantile loss: got %v, want 2.2", got)
	}
}

func TestReadCSVAddsUpAndFillsWithZero(t *testing.T) {
	text := "date,series,value\n2025-01-06,a,1\n2025-01-12,a,2\n2025-01-20,b,5\n2025-01-27,a,3\n"
	got, err := forecast.ReadCSV(strings.NewReader(text), forecast.Week, []int{52})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got[0].Values, got[1].Values) != "[3 0 0 3] [5 0]" {
		t.Errorf("got %v and %v, want [3 0 0 3] and [5 0]", got[0].Values, got[1].Values)
	}
	if date := got[1].Date(2).Format(time.DateOnly); date != "2025-02-03" {
		t.Errorf("the step after: got %s, want 2025-02-03", date)
	}
}

func FuzzReadM3(f *testing.F) {
	f.Add([]byte("id,period,h,train,test\na,YEARLY,2,1;2;3,4;5\nb,OTHER,1,7,\n"))
	f.Add([]byte("\xef\xbb\xbfid,period,h,train,test\n\"a,QUARTERLY,2"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tasks, err := forecast.ReadM3(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, task := range tasks {
			if len(task.Values) == 0 || task.Test != nil && len(task.Test) != task.Horizon {
				t.Fatalf("got %+v", task)
			}
		}
	})
}

func FuzzReadM4(f *testing.F) {
	f.Add([]byte("V1,V2,V3\n\"H1\",\"1\",\"2\"\n"), []byte("V1,V2\nH1,3\n"))
	f.Add([]byte("V1\nW1\n"), []byte("V1\nW1\n"))
	f.Fuzz(func(t *testing.T, train, test []byte) {
		tasks, err := forecast.ReadM4(bytes.NewReader(train), bytes.NewReader(test))
		if err != nil {
			return
		}
		for _, task := range tasks {
			if len(task.Values) == 0 || len(task.Test) != task.Horizon || task.Horizon == 0 {
				t.Fatalf("got %+v", task)
			}
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("date,series,value\n2025-01-06,a,1\n2024-02-29,b,-3\n"), byte(1))
	f.Fuzz(func(t *testing.T, text []byte, step byte) {
		got, err := forecast.ReadCSV(bytes.NewReader(text), forecast.Step(step%3), nil)
		if err != nil {
			return
		}
		for _, d := range got {
			last := d.Date(len(d.Values) - 1)
			if want := got[0].Date(len(got[0].Values) - 1); !last.Equal(want) {
				t.Fatalf("%s ends at %v, another at %v", d.Name, last, want)
			}
		}
	})
}
