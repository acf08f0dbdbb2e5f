package job_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// weekly writes a CSV of days in which every Saturday sells 14 and others 7.
func weekly(t *testing.T) string {
	var text strings.Builder
	text.WriteString("date,series,value\n")
	start := time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC) // a Monday
	for day := range 70 {
		value := 7
		if day%7 == 5 {
			value = 14
		}
		fmt.Fprintf(&text, "%s,bread,%d\n", start.AddDate(0, 0, day).Format(time.DateOnly), value)
	}
	return writeFile(t, "days.csv", []byte(text.String()))
}

func TestForecastCSV(t *testing.T) {
	out, err := run(t, "forecast", "--horizon", "7", "--json", weekly(t))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Forecasts []struct {
			Series string
			Dates  []string
			Mean   []float64
			Low80  []float64
			High95 []float64
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Forecasts) != 1 || got.Forecasts[0].Series != "bread" || len(got.Forecasts[0].Mean) != 7 {
		t.Fatalf("got %+v, want 7 days of bread", got.Forecasts)
	}
	f := got.Forecasts[0]
	if f.Dates[0] != "2025-03-17" {
		t.Errorf("first date: got %s, want 2025-03-17", f.Dates[0])
	}
	for i, v := range f.Mean {
		want := 7.0
		if i == 5 {
			want = 14
		}
		if v < want-0.5 || v > want+0.5 || f.Low80[i] > v || f.High95[i] < v {
			t.Errorf("%s: got %.2f in %.2f..%.2f, want about %v", f.Dates[i], v, f.Low80[i], f.High95[i], want)
		}
	}
}

func TestForecastText(t *testing.T) {
	m3 := writeFile(t, "m3.csv", []byte("id,type,period,n,h,start,train,test\n"+
		"a,X,YEARLY,14,2,1975,1;2;3;4;5;6;7;8;9;10;11;12;13;14,15;16\n"+
		"b,X,YEARLY,14,2,1975,1;2;3;4;5;6;7;8;9;10;11;12;13;14,15;16\n"))
	train := writeFile(t, "train.csv", []byte("\"V1\",\"V2\",\"V3\",\"V4\"\n\"Y1\",\"5\",\"5\",\"5\"\n\"Y2\",\"5\",\"5\",\n"))
	test := writeFile(t, "test.csv", []byte("V1,V2\nY1,5\nY2,5\n"))
	for _, c := range []struct {
		want string
		args []string
	}{
		{"yearly  2       2       ", []string{"--format", "m3", m3}},
		{"yearly  2       2       0.000", []string{"--format", "m4", train, test}},
		{"bread   2025-03-17", []string{weekly(t)}},
	} {
		out, err := run(t, append([]string{"forecast"}, c.args...)...)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out, c.want) {
			t.Errorf("got %q, want %q in it", out, c.want)
		}
	}
}

func TestForecastRefuses(t *testing.T) {
	file := func(text string) string { return writeFile(t, "f.csv", []byte(text)) }
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"column", []string{file("day,series,value\n")}, `f.csv:1: no column "date"`},
		{"date", []string{file("date,series,value\n2025-01-01,a,1\n01/02/2025,a,1\n")}, "f.csv:3: date"},
		{"value", []string{file("date,series,value\n2025-01-01,a,x\n")}, "f.csv:2: value"},
		{"span", []string{file("date,series,value\n1970-01-01,a,1\n9999-01-01,a,1\n")}, "f.csv:3: date 9999-01-01 is more than"},
		{"no rows", []string{file("date,series,value\n")}, "no rows"},
		{"empty", []string{file("")}, "f.csv:1: the file is empty"},
		{"m3 value", []string{"--format", "m3", file("id,period,h,train,test\na,YEARLY,1,1;z,\n")}, `f.csv:2: series a: value 2 is "z"`},
		{"m3 test", []string{"--format", "m3", file("id,period,h,train,test\na,YEARLY,2,1;2,3\n")}, "1 test values for a horizon of 2"},
		{"m4 files", []string{"--format", "m4", file("V1,V2\n")}, "takes two files"},
		{"m4 test", []string{"--format", "m4", file("V1,V2\nH1,1\n"), file("V1,V2\nH2,1\n")}, "no series H1"},
		{"horizon", []string{"--horizon", "0", weekly(t)}, "at least 1"},
		{"season", []string{"--season", "7,3", weekly(t)}, "rising"},
		{"step", []string{"--every", "hour", weekly(t)}, "not one of day, week, month"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := run(t, append([]string{"forecast"}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q in it", err, c.want)
			}
		})
	}
}
