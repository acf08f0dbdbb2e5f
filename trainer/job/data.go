package job

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/kind"
)

// Data is the flags of what is trained and judged on.
type Data struct {
	Train     string            `help:"File to train on; .gz, .zst and .xz are unpacked." placeholder:"FILE" type:"existingfile"`
	Valid     string            `name:"validate" help:"File to choose by." placeholder:"FILE" type:"existingfile"`
	Test      string            `help:"File to judge by." placeholder:"FILE" type:"existingfile"`
	Negatives string            `help:"File of sampled candidates, \"(user,item) n1 n2 ...\" a line; without it the whole catalogue is ranked." placeholder:"FILE" type:"existingfile"`
	Format    string            `help:"How the files are written: ${enum}." enum:"adjacency,sequences,pairs,counted,events" default:"pairs"`
	Columns   map[string]string `help:"Columns of events: user=CustomerID,item=StockCode,time=InvoiceDate,type=,quantity=,price=,value=,market=." mapsep:"," placeholder:"KEY=NAME"`
	Missing   []string          `help:"Users that mean nobody, in events." placeholder:"NAME"`
	Content   string            `help:"File of the items' words, \"n word:count ...\" a line; the item is the line's number, from 0." placeholder:"FILE" type:"existingfile"`
	Split     string            `help:"How to part the data: given, leave-one-out, last-positive, temporal, random or new-items; given with --test or --negatives, else leave-one-out." enum:",given,leave-one-out,last-positive,temporal,random,new-items" default:""`
	Days      float64           `help:"Days at the end that are test, for temporal." default:"30"`
	Positive  float64           `help:"Rating from which on an item is to be found, for last-positive." default:"4"`
	Share     float64           `help:"Share of interactions (of items) that is test, for random (new-items)." default:"0.2"`
	HoldOut   string            `name:"hold-out" help:"Take validation from training: random:SHARE, newest:SHARE (of each user) or days:N." placeholder:"HOW"`
	Seed      uint64            `help:"Seed of everything random." default:"1"`
}

// Validate implements kong's check of flags that depend on one another.
func (d *Data) Validate() error {
	if _, err := dataset.ParseColumns(d.Columns); err != nil {
		return err
	}
	if len(d.Columns) > 0 && d.Format != string(dataset.Events) {
		return fmt.Errorf("--columns is for --format events: got --format %s", d.Format)
	}
	if d.HoldOut != "" {
		if d.Valid != "" {
			return fmt.Errorf("--hold-out makes validation from training: drop it or --validate")
		}
		if _, err := d.hold(); err != nil {
			return err
		}
	}
	if !(d.Days > 0) || !(d.Share > 0 && d.Share < 1) {
		return fmt.Errorf("--days must be above 0 and --share between 0 and 1: got %v and %v", d.Days, d.Share)
	}
	return nil
}

func (d *Data) method() dataset.Method {
	switch {
	case d.Split != "":
		return dataset.Method(d.Split)
	case d.Test != "" || d.Negatives != "":
		return dataset.Given
	}
	return dataset.LeaveOneOut
}

func (d *Data) hold() (dataset.Hold, error) {
	by, number, ok := strings.Cut(d.HoldOut, ":")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || by != "random" && by != "newest" && by != "days" || !(v > 0) || by != "days" && v >= 1 {
		return dataset.Hold{}, fmt.Errorf("--hold-out is %q: expected random:0.1, newest:0.1 or days:30", d.HoldOut)
	}
	if by == "days" {
		return dataset.Hold{By: by, Days: v, Seed: d.Seed}, nil
	}
	return dataset.Hold{By: by, Share: v, Seed: d.Seed}, nil
}

// given reports what is missing for learning from files.
func (d *Data) given(m *Models) error {
	if d.Train == "" {
		return errors.New("nothing to learn from: give --train FILE, or --data DIR for the log of a shop")
	}
	if len(m.Model) == 0 {
		return fmt.Errorf("--model is empty: expected some of %s", strings.Join(kind.Names(), ", "))
	}
	return nil
}

// load reads and parts the files.
func (d *Data) load(env *Env) (*dataset.Split, error) {
	bar := env.Progress("read data")
	defer bar.Done()
	columns, err := dataset.ParseColumns(d.Columns)
	if err != nil {
		return nil, err
	}
	columns.Missing = d.Missing
	s, err := dataset.LoadSplit(env.Ctx,
		dataset.Files{Train: d.Train, Validate: d.Valid, Test: d.Test, Negatives: d.Negatives, Format: dataset.Format(d.Format), Columns: columns},
		dataset.Cut{Method: d.method(), TestDays: d.Days, Positive: float32(d.Positive), Share: d.Share, Seed: d.Seed})
	if err != nil {
		return nil, err
	}
	if d.Content != "" {
		items, err := dataset.LoadWords(d.Content, s.Train.Items)
		if err != nil {
			return nil, err
		}
		words, err := catalog.Of(items)
		if err != nil {
			return nil, err
		}
		for _, part := range []*dataset.Dataset{s.Train, s.Validate, s.Test} {
			if part != nil {
				part.Catalog = words
			}
		}
	}
	if d.HoldOut != "" {
		h, err := d.hold()
		if err != nil {
			return nil, err
		}
		if s.Train, s.Validate, err = dataset.HoldOut(s.Train, h); err != nil {
			return nil, err
		}
	}
	return s, nil
}
