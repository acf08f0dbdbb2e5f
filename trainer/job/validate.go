package job

import (
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// ErrInvalid is returned when a file has problems.
var ErrInvalid = errors.New("data has problems")

// Validate checks files before anything is trained on them, files of events as
// an import would, or what is in a store.
type Validate struct {
	Files   []string          `arg:"" optional:"" help:"Files to check; .gz, .zst and .xz are unpacked." type:"existingfile"`
	Format  string            `help:"How the files are written: ${enum}." enum:"adjacency,sequences,pairs,counted,events" default:"pairs"`
	Columns map[string]string `help:"Columns of events: user=CustomerID,item=StockCode,..." mapsep:"," placeholder:"KEY=NAME"`
	Missing []string          `help:"Users that mean nobody, in events." placeholder:"NAME"`
	Import  string            `help:"Check as 'trainer import events' with these columns would, and store nothing: user=CustomerID,item=StockCode,... or the name of a mapping: online-retail." placeholder:"FIELD=COLUMN,..."`
	As      string            `help:"What the files given with --import are tables of: ${enum}. Of users, items and an audience the columns are those of 'trainer import'." enum:"events,users,items,audience" default:"events"`
	Dir     string            `name:"data" help:"Check the log of a shop in this data directory, beside a running server." type:"existingdir" placeholder:"DIR"`
	Shop    string            `help:"The shop." default:"default"`
	Show    int               `help:"Problems of a file, or of a rule, to print; all are counted." default:"10"`
}

// checked is what was found in one file.
type checked struct {
	File         string          `json:"file"`
	Problems     int             `json:"problems"`
	Shown        []string        `json:"shown,omitempty"`
	Interactions int             `json:"interactions"`
	Users        int             `json:"users"`
	Items        int             `json:"items"`
	Skipped      dataset.Skipped `json:"skipped"`
	Repeats      int             `json:"repeats"`      // interactions with an item the user had before
	SingleUsers  int             `json:"single_users"` // users with one interaction only
	Types        map[string]int  `json:"types"`
	Remarks      []string        `json:"remarks,omitempty"`
}

// Run implements the command: it is an error when anything has a problem.
func (v *Validate) Run(env *Env) error {
	if err := v.checkEvents(); err != nil {
		return err
	}
	if v.Dir != "" || v.Import != "" {
		return v.runEvents(env)
	}
	var all []checked
	problems := 0
	for _, path := range v.Files {
		bar := env.Progress("check " + path)
		c, err := v.check(path)
		bar.Done()
		if err != nil {
			return err
		}
		all = append(all, c)
		problems += c.Problems
	}
	if env.JSON {
		if err := env.WriteJSON(map[string]any{"files": all}); err != nil {
			return err
		}
	} else {
		for i := range all {
			if err := all[i].text(env); err != nil {
				return err
			}
		}
	}
	if problems > 0 {
		return fmt.Errorf("%w: %d in %d files: mend the lines named above", ErrInvalid, problems, len(all))
	}
	return nil
}

func (v *Validate) check(path string) (checked, error) {
	c := checked{File: path, Types: map[string]int{}}
	columns, err := dataset.ParseColumns(v.Columns)
	if err != nil {
		return c, err
	}
	columns.Missing = v.Missing
	l := &dataset.Loader{Format: dataset.Format(v.Format), Columns: columns}
	l.Problem = func(e *dataset.FormatError) error {
		if c.Problems++; len(c.Shown) < v.Show {
			c.Shown = append(c.Shown, e.Error())
		}
		return nil
	}
	rows, err := l.Load(path)
	if errors.Is(err, dataset.ErrFormat) {
		c.Problems++
		c.Shown = append(c.Shown, err.Error())
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.Skipped = l.Skipped
	c.look(l.Dataset(rows))
	return c, nil
}

// look counts what is right by form and may still be a mistake.
func (c *checked) look(d *dataset.Dataset) {
	c.Interactions, c.Users, c.Items = len(d.Log), d.NumUsers(), d.NumItems()
	var seen []features.Row
	timeless, unrated := 0, 0
	for u := range d.Users {
		history := d.History(u)
		if len(history) == 1 {
			c.SingleUsers++
		}
		seen = seen[:0]
		for i := range history {
			it := &history[i]
			c.Types[it.Type.String()]++
			seen = append(seen, it.Row)
			if it.TimeMS == 0 || dataset.Ordinal(it.TimeMS) {
				timeless++
			}
			if it.Type == features.Rating && (it.Value < 0 || it.Value > 10) {
				unrated++
			}
		}
		slices.Sort(seen)
		c.Repeats += len(seen) - len(slices.Compact(seen))
	}
	remark := func(when bool, format string, args ...any) {
		if when {
			c.Remarks = append(c.Remarks, fmt.Sprintf(format, args...))
		}
	}
	remark(timeless == len(d.Log), "no times: the order within a user is that of the file, and temporal splits are out of reach")
	remark(timeless > 0 && timeless < len(d.Log), "%d interactions have the time 0", timeless)
	remark(unrated > 0, "%d ratings are outside 0 to 10: is the third field the rating?", unrated)
	remark(c.Users > 0 && 2*c.SingleUsers > c.Users, "more than half of the users have one interaction: they train nothing of taste")
	remark(c.Interactions > 0 && 2*c.Repeats > c.Interactions, "more than half of the interactions repeat: judge with --keep-seen as well")
}

func (c *checked) text(env *Env) error {
	verdict := "ok"
	if c.Problems > 0 {
		verdict = fmt.Sprintf("%d problems", c.Problems)
	}
	fmt.Fprintf(env.Out, "%s: %s\n", c.File, verdict)
	for _, p := range c.Shown {
		fmt.Fprintf(env.Out, "  %s\n", p)
	}
	if more := c.Problems - len(c.Shown); more > 0 {
		fmt.Fprintf(env.Out, "  and %d more\n", more)
	}
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  interactions\t%d\n  users\t%d, %d of them with one interaction\n  items\t%d\n  repeats\t%d\n  left out\t%d without a user, %d without an item\n",
		c.Interactions, c.Users, c.SingleUsers, c.Items, c.Repeats, c.Skipped.NoUser, c.Skipped.NoItem)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range c.Remarks {
		fmt.Fprintf(env.Out, "  remark: %s\n", r)
	}
	return nil
}
