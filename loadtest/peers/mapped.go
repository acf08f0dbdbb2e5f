package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"golang.org/x/sys/unix"
)

// openCmd opens an index file in a process of its own, so that its memory can be
// told.
type openCmd struct {
	File string `arg:"" help:"Index file."`
}

// opening is what it took.
type opening struct {
	Seconds  float64  // to open
	Checksum float64  // seconds to hash the file, as opening a release does
	Resident int64    // bytes more than before, after some searches
	Filtered int64    // the same, after as many under filters besides
	Answers  [2]int64 // different rows in their answers
}

// mappedCmd measures opened files alone, without a peer.
type mappedCmd struct {
	Mapped int     `default:"1000000" name:"rows" help:"Rows."`
	Spread float64 `default:"0.3" help:"How much the lengths of rows differ (log-normal)."`
	Write  string  `help:"Markdown file whose table is replaced."`
}

func (c *mappedCmd) Run(ctx context.Context) error {
	table, err := c.mapped(ctx)
	if err != nil {
		return err
	}
	return show(c.Write, "mapped", fmt.Sprintf("`go run ./loadtest/peers mapped`, %s, commit %s, %s.\n\n%s",
		time.Now().UTC().Format(time.DateOnly), commit(), machine(), table))
}

func (c *openCmd) Run(ctx context.Context) error {
	var o opening
	before := resident()
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	began := time.Now()
	sha256.Sum256(b)
	o.Checksum = time.Since(began).Seconds()
	if err := unix.Madvise(b, unix.MADV_DONTNEED); err != nil { // it is not what the index touches
		return err
	}
	began = time.Now()
	x, err := vector.OpenAt(b, f)
	if err != nil {
		return err
	}
	o.Seconds = time.Since(began).Seconds()
	qs := clusters(200, max(x.Len()/groupRows, 1), x.Dim(), 0, 3)
	answers := features.NewBitmap(x.Len())
	half := features.NewBitmap(x.Len())
	for row := 0; row < x.Len(); row += 2 {
		half.Set(features.Row(row))
	}
	for i, pass := range []struct {
		where    models.Where
		resident *int64
	}{{models.Where{}, &o.Resident}, {models.Where{Allow: half}, &o.Filtered}} {
		for i := range 200 {
			hits, err := x.Search(ctx, qs[i*x.Dim():][:x.Dim()], indexTop, pass.where, nil)
			if err != nil {
				return err
			}
			for _, h := range hits {
				answers.Set(h.Row)
			}
		}
		runtime.GC()
		*pass.resident, o.Answers[i] = resident()-before, int64(answers.Count())
	}
	return errors.Join(json.NewEncoder(os.Stdout).Encode(o), x.Close())
}

func resident() int64 {
	var pages, in int64
	b, _ := os.ReadFile("/proc/self/statm") // elsewhere the figure is 0
	_, _ = fmt.Sscan(string(b), &pages, &in)
	return in * int64(os.Getpagesize())
}

// mapped builds indexes of many rows, writes them and opens them elsewhere.
func (c *mappedCmd) mapped(ctx context.Context) (_ string, err error) {
	rows := clusters(c.Mapped, max(c.Mapped/groupRows, 1), indexDim, c.Spread, 2)
	folder, err := os.MkdirTemp("", "peers")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	exact, err := vector.NewExact(rows, indexDim, runtime.NumCPU())
	if err != nil {
		return "", err
	}
	graph, err := vector.BuildHNSW(ctx, rows, indexDim, vector.HNSWOptions{Workers: runtime.NumCPU(), Width: 200})
	if err != nil {
		return "", err
	}
	n := int64(c.Mapped)
	var out strings.Builder
	out.WriteString("| opened from a mapped file | open | its SHA-256 besides | resident after 200 searches | and 200 under a filter of 50 % | what the search needs | resident, of that |\n|---|---|---|---|---|---|---|\n")
	for _, x := range []struct {
		title string
		saved vector.Saved
		needs int64
	}{
		{"exact", exact, n * (indexDim + 4)}, {"hnsw", graph, n * (4*indexDim + 8*16)},
	} {
		path := filepath.Join(folder, x.title)
		f, err := os.Create(path)
		if err != nil {
			return "", err
		}
		if _, err := x.saved.WriteTo(f); err != nil {
			return "", errors.Join(err, f.Close())
		}
		if err := f.Close(); err != nil {
			return "", err
		}
		b, err := exec.CommandContext(ctx, self, "open", path).Output()
		if err != nil {
			return "", fmt.Errorf("open %s: %w", x.title, err)
		}
		var o opening
		if err := json.Unmarshal(b, &o); err != nil {
			return "", err
		}
		share := func(resident, answers int64) float64 { return float64(resident) / float64(x.needs+answers*4*indexDim) }
		fmt.Fprintf(&out, "| %s, %d x %d | %.0f ms | %.0f ms | %d MB | %d MB | %d MB | %.2f, %.2f |\n", x.title, n, indexDim, 1e3*o.Seconds, 1e3*o.Checksum,
			o.Resident>>20, o.Filtered>>20, (x.needs+o.Answers[0]*4*indexDim)>>20, share(o.Resident, o.Answers[0]), share(o.Filtered, o.Answers[1]))
	}
	return out.String(), nil
}
