package job

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/trainer/retrain"
)

// docs/signals.md has the signals that the code has, word by word, each with
// its importance: it was made after the code was changed.
func TestTheTableOfSignalsIsTheCodes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "signals.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := signalRows()
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

// Every signal is seen by the ranker of a surface that a shop gets without
// asking, and a plan without a ranker, or of other signals, says so.
func TestEachSignalIsUsed(t *testing.T) {
	for _, row := range signalRows() {
		if len(row.Ranks) == 0 {
			t.Errorf("signal %s is seen by no shipped ranker", row.Name)
		}
	}
	plan := retrain.Default()
	if plan.Signals = []string{"pair"}; len(plan.Uses("pair")) != 1 || len(plan.Uses("recency")) != 0 {
		t.Errorf("of a plan with one signal: got %v and %v", plan.Uses("pair"), plan.Uses("recency"))
	}
	if plan.Learnt = false; len(plan.Uses("pair")) != 0 {
		t.Errorf("a plan without a learnt ranker: got %v", plan.Uses("pair"))
	}
}

func TestSignalsOfAnEmptyShop(t *testing.T) {
	var got struct{ Signals []signalRow }
	reply(t, &got, "signals")
	if len(got.Signals) != len(signal.Signals()) || got.Signals[0].Fall != nil {
		t.Errorf("got %+v, want every signal and no importance without a release", got.Signals)
	}
}
