// Command robustness asks whether the default recipe is as good as the best of
// its parts on data of many shapes and sizes, most of which nothing was chosen
// on, and writes docs/measurements/robustness.md.
//
//	go run ./loadtest/peers/robustness -data ../shared/data -write docs/measurements/robustness.md
//	go run ./loadtest/peers/robustness -shapes lastfm -sizes 500 -seeds 25
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/loadtest/peers/shape"
)

// fewest is the cases that a row of the page has at least.
const fewest = 20

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "robustness:", err)
		os.Exit(1)
	}
}

func run() error {
	data := flag.String("data", filepath.Join("..", "shared", "data"), "folder of the public data sets")
	shapes := flag.String("shapes", "", "shapes to try; all when empty")
	sizes := flag.String("sizes", "500,5000,50000", "interactions of a draw")
	seeds := flag.Int("seeds", 5, "draws of a size, fewer of the larger ones: each tenfold size has a third")
	from := flag.Uint64("from", 1, "seed of the first draw")
	write := flag.String("write", "", "Markdown file to write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	least := 0
	var cells []*cell
	for _, text := range strings.Split(*sizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 {
			return fmt.Errorf("-sizes has %q: expected numbers above 0", text)
		}
		if least == 0 {
			least = size
		}
		draws := *seeds
		for n := least; n < size; n *= 10 {
			draws = max(1, draws/3)
		}
		for _, s := range shape.All() {
			if *shapes != "" && !slices.Contains(strings.Split(*shapes, ","), s.Name) {
				continue
			}
			c, err := measure(ctx, *data, &s, size, draws, *from)
			if err != nil {
				return err
			}
			if c == nil {
				continue
			}
			fmt.Println(c.row())
			cells = append(cells, c)
			if *write == "" {
				continue
			}
			// After each row: what was measured is kept if the rest is not.
			if err := os.WriteFile(*write, []byte(page(cells, strings.Join(os.Args[1:], " "))), 0o644); err != nil { // #nosec G306 G703 -- a page for everyone, where the caller wants it
				return err
			}
		}
	}
	return nil
}

// measure is the cell of a shape and size; nil where the data is not there, too
// small or gives too few cases.
func measure(ctx context.Context, data string, s *shape.Shape, size, draws int, from uint64) (*cell, error) {
	source, err := s.Data(data)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "skipped: %v: give -data\n", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if source.Pairs() < size {
		return nil, nil
	}
	c := newCell(s, size)
	for k := range draws {
		if err := c.draw(ctx, source, from+uint64(k), runtime.GOMAXPROCS(0)); err != nil { // #nosec G115 -- not negative
			return nil, fmt.Errorf("%s, %d interactions, draw %d: %w", s.Name, size, k+1, err)
		}
	}
	if c.cases < fewest {
		fmt.Fprintf(os.Stderr, "left out: %s, %d interactions: %d cases\n", s.Name, size, c.cases)
		return nil, nil
	}
	return c, nil
}
