package models

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// Model is what a release keeps: a scorer that can be written down. Values are
// immutable and safe for concurrent use.
type Model interface {
	Scorer
	// Kind is the name models/kind knows it by: "ials".
	Kind() string
	// Items is the number of rows it was trained on; it scores [0, Items) and
	// gives NaN to rows past it unless it can say something of tail items.
	Items() int
	// Save writes everything that Open needs to score the same.
	Save(w Writer) error
}

// ErrKind is returned for a kind that does not exist.
var ErrKind = errors.New("unknown kind of model")

// ErrParams is returned for parameters that a kind cannot take.
var ErrParams = errors.New("bad parameters")

// Writer takes a model's parts into a release.
type Writer interface {
	Tensor(name string, t Tensor) error // names: lower case, digits, '_' and '.'
	JSON(name string, v any) error
}

// Reader gives them back. Tensors may be memory-mapped: they are read-only and
// valid while the release is open.
type Reader interface {
	Tensor(name string) (Tensor, error)
	JSON(name string, v any) error
	// Model is another model of the same release, by its name there.
	Model(name string) (Model, error)
}

// Part is a model that another one is made of, with its name in the release.
type Part struct {
	Name  string
	Model Model
}

// Composite is a model made of others of the same release. Save must not write
// its parts; Open finds them through Reader.Model.
type Composite interface {
	Parts() []Part
}

// Chooser is a model that chose some of its parameters by itself. Given to its
// kind as FitInput.Params, what Chosen returns fits the same again without
// choosing, on this or other data.
type Chooser interface {
	Chosen() (json.RawMessage, error)
	// Account says what was tried and why it was kept or not, a line each; none
	// where nothing was chosen.
	Account() []string
}

// Progress is one step of a long fit.
type Progress struct {
	Step, Steps int                // from 1; Steps 0 is unknown
	Stage       string             // "iteration", "neighbours"
	Figures     map[string]float64 // objective, validation metric
}

// FitInput is what a kind is trained from.
type FitInput struct {
	Train    *dataset.Dataset
	Validate *dataset.Dataset // the same users and items as Train; nil: none
	Params   json.RawMessage  // of the kind; empty: its defaults. Unknown fields are errors.
	Seed     uint64
	Workers  int                // at most so many goroutines at work; 0: GOMAXPROCS
	Warm     Model              // an older model of the kind to start from; nil: none
	Was      []features.Row     // the row in Warm of each item of Train, NoRow: none; nil: those of Train
	Parts    []Part             // what a composite is made of; none: it fits its own, where it can
	Progress func(Progress)     // nil: nobody watches
	Weights  map[string]float64 // by event type's name; nil: the kind's defaults
	// Checkpoint is the file in which a kind that learns for long leaves its
	// state after each epoch, and from which the same fit, begun again, goes on
	// to the same model; "": none. A file of another fit is an error.
	Checkpoint string
	// Kinds finds the kinds that a composite fits its own parts by; nil: it is
	// given Parts.
	Kinds func(name string) (Kind, error)
}

// Kind is a family's entry in models/kind.
type Kind struct {
	Name     string
	Summary  string // one line for people
	Defaults any    // a struct with json tags: every parameter and its default
	// Fit trains. It obeys ctx, reports ErrParams for bad parameters, and
	// gives the same model for the same input, seed and number of workers.
	Fit func(ctx context.Context, in FitInput) (Model, error)
	// Open reads what Save wrote.
	Open func(r Reader) (Model, error)
	// Parts names the kinds that a composite of d's items is made of where
	// nobody names any; none: it chooses and fits its own. nil: not a composite.
	Parts func(d *dataset.Dataset) []string
	// Space is what trainer tune may vary; nil: nothing.
	Space []Range
}

// Range is a parameter that may be varied: either Values, or Low to High.
type Range struct {
	Param     string
	Values    []any
	Low, High float64
	Log       bool // spread evenly over the logarithm
	Integer   bool
}
