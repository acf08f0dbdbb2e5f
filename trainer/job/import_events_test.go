package job

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/attune-rec/attune/features/ingest"
)

// --prices says what is done about a price far from the usual: unless told, it
// is counted, and nothing else.
func TestImportPrices(t *testing.T) {
	var b strings.Builder
	b.WriteString("who,what,price,order,at\n")
	for i := range 20 {
		fmt.Fprintf(&b, "u%d,cup,2.50,o%d,2026-01-02 10:00:00\n", i, i)
	}
	b.WriteString("u1,cup,250,cents,2026-01-02 10:00:00\n")
	path := file(t, "sales.csv", b.String())
	run := func(args ...string) (r ingest.Report, err error) {
		var c ImportEvents
		p, err := kong.New(&c, kong.Exit(func(int) { t.Error("exit") }))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Parse(append([]string{path, "--data", t.TempDir(), "--columns", "user=who,item=what,price=price,order=order,time=at"}, args...)); err != nil {
			return r, err
		}
		var out, errs bytes.Buffer
		if err := c.Run(NewEnv(context.Background(), &out, &errs, true, slog.LevelWarn)); err != nil {
			return r, err
		}
		return r, json.Unmarshal(out.Bytes(), &r)
	}
	for _, c := range []struct {
		args                    []string
		noted, changed, refused int64
	}{
		{nil, 1, 0, 0},
		{[]string{"--prices", "cut"}, 0, 1, 0},
		{[]string{"--prices", "refuse"}, 0, 0, 1},
	} {
		r, err := run(c.args...)
		if err != nil {
			t.Fatal(err)
		}
		got := r.Rule("outlier_price")
		if got == nil || got.Noted != c.noted || got.Changed != c.changed || got.Refused != c.refused || len(got.Examples) != 1 || r.Stored != 21-c.refused {
			t.Errorf("%v: got %+v and %d stored, want %d noted, %d changed, %d refused", c.args, got, r.Stored, c.noted, c.changed, c.refused)
		}
	}
	if _, err := run("--prices", "mend"); err == nil || !strings.Contains(err.Error(), "--prices") {
		t.Errorf("--prices mend: got %v, want it refused", err)
	}
}
