package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// Components makes the parts that a recipe names; models/pipeline/kit has the
// ones that come with the project. Each says in its error what it knows.
type Components struct {
	Source   func(models.SourceSpec) (Source, error)
	Filter   func(models.ComponentSpec) (Filter, error)
	Ranker   func(models.RankerSpec) (Ranker, error)
	Selector func(models.ComponentSpec) (Selector, error)
}

// Env is what components are made of: the models of a release and the indexes
// over their vectors. It is read-only.
type Env struct {
	Models  map[string]models.Model // by their name in the release
	Indexes map[string]models.Index // by the name of the model whose vectors they hold
	Trends  Trends                  // nil: nobody counts, as in a replay
}

// Model is the model called name; the error lists those there are.
func (e Env) Model(name string) (models.Model, error) {
	m, ok := e.Models[name]
	if !ok {
		return nil, fmt.Errorf("model %q is not in the release: expected one of %s", name, List(slices.Collect(maps.Keys(e.Models))))
	}
	return m, nil
}

// Index is the index over the vectors of the model called name.
func (e Env) Index(name string) (models.Index, error) {
	x, ok := e.Indexes[name]
	if !ok {
		return nil, fmt.Errorf("model %q has no index: expected one of %s", name, List(slices.Collect(maps.Keys(e.Indexes))))
	}
	return x, nil
}

// ModelAs is the model called name as a T, an interface of package models; the
// error lists the models that are one.
func ModelAs[T any](e Env, name string) (T, error) {
	var zero T
	m, err := e.Model(name)
	if err != nil {
		return zero, err
	}
	t, ok := m.(T)
	if !ok {
		var can []string
		for n, other := range e.Models {
			if _, ok := other.(T); ok {
				can = append(can, n)
			}
		}
		return zero, fmt.Errorf("model %q of kind %s is no %T: expected one of %s", name, m.Kind(), &zero, List(can))
	}
	return t, nil
}

// Pick is what there is under name; the error says what of its kind there is.
func Pick[T any](all map[string]T, kind, name string) (T, error) {
	t, ok := all[name]
	if !ok {
		return t, fmt.Errorf("unknown %s %q: expected one of %s", kind, name, List(slices.Collect(maps.Keys(all))))
	}
	return t, nil
}

// List is names in order, quoted, for errors; "(none)" when there are none.
func List(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	names = slices.Clone(names)
	slices.Sort(names)
	for i, n := range names {
		names[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(names, ", ")
}

// Params reads a component's parameters into the struct that into points to, by
// its json tags; what is not given keeps the value it has. Unknown names and
// wrong types are errors.
func Params(params map[string]any, into any) error {
	if len(params) == 0 {
		return nil
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		known, _ := json.Marshal(into)
		return fmt.Errorf("parameters %s: %w: expected fields of %s", raw, err, known)
	}
	return nil
}

// MaskOnly is a filter whose Keep holds for whatever its Mask left: it is not
// asked about each candidate again.
type MaskOnly interface {
	MaskOnly()
}

// Remote is a source that waits for something outside the process. It is asked
// in a goroutine of its own, beside the others, and left behind when the
// budget ends; it must return once its context has ended.
type Remote interface {
	Remote() bool
}

// Eligibler is a catalogue that keeps the rows which may be sold.
// catalog.Snapshot is one.
type Eligibler interface {
	Eligible(market string, now time.Time, dst *features.Bitmap)
}

// Stage is a part of the answering of a request.
type Stage string

// The stages.
const (
	StageEligible Stage = "eligible"
	StageSource   Stage = "source"
	StageFilter   Stage = "filter"
	StageRule     Stage = "rule"
	StageRank     Stage = "rank"
	StageSelect   Stage = "select"
	StageReason   Stage = "reason"
)

// Observation is what one component did for one request.
type Observation struct {
	Surface   string
	Stage     Stage
	Component string
	Took      time.Duration
	Items     int    // candidates given, rows left, items chosen
	Why       string // as in Degradation; "" when all went well
	Err       error  // what went wrong; nil for "off" and for a budget spent before
}

// Observer watches components at work. It is called on the request's goroutine
// and must be fast and safe for concurrent use.
type Observer interface {
	Observe(o Observation)
}

// Switches turns components off by name while requests run. The zero value has
// all on. It is safe for concurrent use.
type Switches struct {
	off atomic.Pointer[map[string]bool]
}

// Set turns the component called name on or off.
func (s *Switches) Set(name string, on bool) {
	for {
		old := s.off.Load()
		next := map[string]bool{}
		if old != nil {
			for k := range *old {
				next[k] = true
			}
		}
		if on {
			delete(next, name)
		} else {
			next[name] = true
		}
		if s.off.CompareAndSwap(old, &next) {
			return
		}
	}
}

// Off reports whether the component called name is off.
func (s *Switches) Off(name string) bool {
	if s == nil {
		return false
	}
	m := s.off.Load()
	return m != nil && (*m)[name]
}

// ErrRequest is returned for a request that cannot be answered as it stands.
var ErrRequest = errors.New("bad request")

// ErrFilter is returned when a filter breaks: what it would have kept back must
// not leave.
var ErrFilter = errors.New("filter failed")
