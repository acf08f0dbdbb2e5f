package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/models/linalg"
)

// samples are the seconds an operation took, round by round.
type samples []float64

func median(s []float64) float64 { return quantile(s, 0.5) }

// quantile returns the value below which a share q of s lies; s is not empty.
func quantile(s []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// ratios returns their time over ours, round by round: above 1, ours is faster.
func ratios(theirs, ours samples) samples {
	r := make(samples, len(ours))
	for i := range r {
		r[i] = theirs[i] / ours[i]
	}
	return r
}

// side is one of our instruction sets in a line of the table.
type side struct {
	name   string
	gflops float64
	ratios samples
}

// ratioLine is one line of the table.
type ratioLine struct {
	title, peer string
	theirs      float64 // GFLOP/s
	sides       []side
	aim         float64
}

func (l ratioLine) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-30s %-7s %7.1f GFLOP/s", l.title, l.peer, l.theirs)
	for _, s := range l.sides {
		fmt.Fprintf(&b, "   %s %7.1f (%.2fx)", s.name, s.gflops, median(s.ratios))
	}
	return b.String()
}

// markdown renders the lines with the spread of the first side's ratios.
func markdown(lines []ratioLine) string {
	var b strings.Builder
	if len(lines) == 0 {
		return ""
	}
	fmt.Fprintf(&b, "| work | peer | GFLOP/s |")
	for _, s := range lines[0].sides {
		fmt.Fprintf(&b, " %s GFLOP/s | ratio |", isaTitle(s.name))
	}
	b.WriteString(" 10-90 % of rounds | aim |\n|---|---|---|")
	b.WriteString(strings.Repeat("---|---|", len(lines[0].sides)) + "---|---|\n")
	for _, l := range lines {
		fmt.Fprintf(&b, "| %s | %s | %.0f |", l.title, l.peer, l.theirs)
		for _, s := range l.sides {
			fmt.Fprintf(&b, " %.0f | %.2f |", s.gflops, median(s.ratios))
		}
		first := l.sides[0].ratios
		fmt.Fprintf(&b, " %.2f-%.2f | %.1f |\n", quantile(first, 0.1), quantile(first, 0.9), l.aim)
	}
	return b.String()
}

// forced is what is added to the name of a table whose instruction set the environment chose.
func forced() string {
	if os.Getenv(linalg.Env) == "" {
		return ""
	}
	return "-" + linalg.ISA()
}

// show prints a table and puts it into a file where one is named.
func show(path, name, table string) error {
	fmt.Print("\n", table)
	if path == "" {
		return nil
	}
	return replaceNamed(path, name, table)
}

// conditions says how a table came about.
func conditions(command, peer string, rounds int) string {
	return fmt.Sprintf("`%s`, %s, commit %s, %s. Peer: %s. One thread; %d rounds in turn, medians.\n\n",
		command, time.Now().UTC().Format(time.DateOnly), commit(), machine(), peer, rounds)
}

func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=10").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}

func machine() string {
	model := runtime.GOARCH
	info, _ := os.ReadFile("/proc/cpuinfo") // elsewhere the architecture has to do
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
			break
		}
	}
	return fmt.Sprintf("%s, %d cores", model, runtime.NumCPU())
}

// replaceTable puts table between the marks of the only table in a file; what stands
// around them stays.
func replaceTable(path, table string) error { return replaceNamed(path, "table", table) }

// replaceNamed is replaceTable for one of several tables.
func replaceNamed(path, name, table string) error {
	tableBegin, tableEnd := fmt.Sprintf("<!-- %s: begin -->\n", name), fmt.Sprintf("<!-- %s: end -->\n", name)
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(old, []byte(tableBegin))
	_, tail, ok2 := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ok2 {
		return fmt.Errorf("%s: want the lines %q and %q around the table", path, strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	return os.WriteFile(path, slices.Concat(head, []byte(tableBegin), []byte(table), []byte(tableEnd), tail), 0o644)
}
