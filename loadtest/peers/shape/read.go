package shape

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
)

// lines calls f with each line of a packed file.
func lines(path string, f func(number int, line string) error) error {
	r, err := dataset.Open(path)
	if err != nil {
		return err
	}
	scan := bufio.NewScanner(r)
	scan.Buffer(make([]byte, 1<<16), 1<<24)
	for n := 0; scan.Scan(); n++ {
		if err := f(n, scan.Text()); err != nil {
			return errors.Join(fmt.Errorf("%s:%d: %w", path, n+1, err), r.Close())
		}
	}
	return errors.Join(scan.Err(), r.Close())
}

// records calls f with each record of a packed CSV file after its header; get
// is a column's value by name.
func records(path string, f func(get func(column string) string) error) error {
	r, err := dataset.Open(path)
	if err != nil {
		return err
	}
	in := csv.NewReader(bufio.NewReader(r))
	in.ReuseRecord = true
	place := map[string]int{}
	var row []string
	get := func(column string) string { return row[place[column]] }
	for n := 0; ; n++ {
		if row, err = in.Read(); err != nil {
			break
		}
		if n == 0 {
			for i, name := range row {
				place[strings.Clone(name)] = i
			}
			continue
		}
		if err = f(get); err != nil {
			err = fmt.Errorf("%s:%d: %w", path, n+1, err)
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, r.Close())
}

// bought is a purchase at a time in milliseconds; 0: unknown.
func bought(at int64) features.Interaction {
	return features.Interaction{Type: features.Purchase, TimeMS: at, Quantity: 1}
}

// lists reads "user item item ...", ordered where the order is that of time.
func lists(ordered bool, path ...string) func(string) (*table, error) {
	return func(folder string) (*table, error) {
		t := &table{}
		err := lines(in(folder, path...), func(_ int, line string) error {
			fields := strings.Fields(line)
			for k, item := range fields[min(1, len(fields)):] {
				it := bought(0)
				if ordered {
					it.TimeMS = int64(k + 1)
				}
				t.events = append(t.events, event{fields[0], item, it})
			}
			return nil
		})
		return t, err
	}
}

// baskets reads an unnamed basket a line, and leaves out those of fewer than
// least items.
func baskets(least int, split func(string) []string, path ...string) func(string) (*table, error) {
	return func(folder string) (*table, error) {
		t := &table{}
		err := lines(in(folder, path...), func(n int, line string) error {
			items := split(line)
			if len(items) < least {
				return nil
			}
			for _, item := range items {
				t.events = append(t.events, event{strconv.Itoa(n), item, bought(0)})
			}
			return nil
		})
		return t, err
	}
}

// counted reads "n item item ...", the user being the line's number, with the
// items' words where words names their file.
func counted(words string, folderName, file string) func(string) (*table, error) {
	return func(folder string) (*table, error) {
		t := &table{}
		if words != "" {
			t.words = in(folder, folderName, words)
		}
		err := lines(in(folder, folderName, file), func(n int, line string) error {
			fields := strings.Fields(line)
			for _, item := range fields[min(1, len(fields)):] {
				t.events = append(t.events, event{strconv.Itoa(n), item, bought(0)})
			}
			return nil
		})
		return t, err
	}
}

// described gives d the words of its items.
func described(d *dataset.Dataset, words string) error {
	items, err := dataset.LoadWords(words, d.Items)
	if err != nil {
		return err
	}
	c, err := catalog.Of(items)
	if err == nil {
		d.Catalog = c
	}
	return err
}

// stars reads "user item rating time".
func stars(timed bool, path ...string) func(string) (*table, error) {
	return func(folder string) (*table, error) {
		t := &table{}
		err := lines(in(folder, path...), func(_ int, line string) error {
			fields := strings.Fields(line)
			if len(fields) < 4 {
				return fmt.Errorf("got %q: expected user, item, rating and time", line)
			}
			value, err := strconv.ParseFloat(fields[2], 32)
			if err != nil {
				return err
			}
			at, err := strconv.ParseInt(fields[3], 10, 64)
			if err != nil {
				return err
			}
			it := features.Interaction{Type: features.Rating, Value: float32(value), TimeMS: at * 1000}
			if !timed {
				it.TimeMS = 0
			}
			t.events = append(t.events, event{fields[0], fields[1], it})
			return nil
		})
		return t, err
	}
}

// funnel reads views, carts and purchases of their own files.
func funnel(types map[string]features.EventType, order []string, name string) func(string) (*table, error) {
	return func(folder string) (*table, error) {
		t := &table{}
		for _, file := range order {
			err := records(in(folder, name, file), func(get func(string) string) error {
				at, err := strconv.ParseInt(get("ts"), 10, 64)
				if err != nil {
					return err
				}
				it := bought(at * 1000)
				it.Type = types[file]
				t.events = append(t.events, event{strings.Clone(get("user")), strings.Clone(get("item")), it})
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		return t, nil
	}
}

// sold reads purchases of a CSV file with a header; group is what an item is
// taken as, nil: itself, and an empty one is left out.
func sold(user, item, at, missing string, group func(folder string) (map[string]string, error), path ...string) func(string) (*table, error) {
	return func(folder string) (*table, error) {
		t := &table{}
		var groups map[string]string
		if group != nil {
			var err error
			if groups, err = group(folder); err != nil {
				return nil, err
			}
		}
		err := records(in(folder, path...), func(get func(string) string) error {
			when, err := time.Parse(time.DateTime, get(at))
			if err != nil {
				return err
			}
			thing := get(item)
			if group != nil {
				thing = groups[thing]
			}
			if u := get(user); u != missing && thing != "" {
				t.events = append(t.events, event{strings.Clone(u), strings.Clone(thing), bought(when.UnixMilli())})
			}
			return nil
		})
		return t, err
	}
}

// column is what a CSV file says of each product in a column.
func column(key, value string, path ...string) func(string) (map[string]string, error) {
	return func(folder string) (map[string]string, error) {
		out := map[string]string{}
		err := records(in(folder, path...), func(get func(string) string) error {
			out[strings.Clone(get(key))] = strings.Clone(get(value))
			return nil
		})
		return out, err
	}
}
