package job

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features/signal"
)

// docs/signals.md has the signals that the code has, word by word, each with
// its importance: it was made after the code was changed.
func TestTheTableOfSignalsIsTheCodes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "signals.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []signalRow
	for _, one := range signal.Signals() {
		about := one.About()
		rows = append(rows, signalRow{Name: one.Name(), Of: about.Of, From: about.From, Numbers: about.Numbers})
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "|-") {
			continue
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		if fall := strings.TrimSpace(cells[len(cells)-2]); strings.HasPrefix(line, "| `") {
			if fall == "" {
				t.Errorf("no importance: %s", line)
			}
			cells[len(cells)-2] = "  "
		}
		got = append(got, strings.Join(cells, "|"))
	}
	want := strings.Split(strings.TrimSpace(signalTable(rows)), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("docs/signals.md is not of this code: run 'make measure-signals'\ngot\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSignalsOfAnEmptyShop(t *testing.T) {
	var got struct{ Signals []signalRow }
	reply(t, &got, "signals")
	if len(got.Signals) != len(signal.Signals()) || got.Signals[0].Fall != nil {
		t.Errorf("got %+v, want every signal and no importance without a release", got.Signals)
	}
}
