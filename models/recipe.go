package models

import (
	"errors"
	"time"
)

// ErrRecipe is returned for a recipe that cannot be carried out with the models
// at hand.
var ErrRecipe = errors.New("bad recipe")

// Recipe says how a surface is answered: where candidates come from, what may
// not be answered, how the rest is scored, ordered and cut. It is data inside
// the release.
type Recipe struct {
	Surface   string          `json:"surface"`
	Budget    Duration        `json:"budget"` // for all sources together
	Sources   []SourceSpec    `json:"sources"`
	Filters   []ComponentSpec `json:"filters"`
	Ranker    RankerSpec      `json:"ranker"`
	Selectors []ComponentSpec `json:"selectors"`
	Fallback  []SourceSpec    `json:"fallback"` // asked in turn, while there are fewer candidates than the limit
}

// SourceSpec is one source of candidates.
type SourceSpec struct {
	Name   string         `json:"name"`            // unique in the recipe; metrics and switches attach to it
	Source string         `json:"source"`          // the component, by its name in models/pipeline/source
	Model  string         `json:"model,omitempty"` // the release's model it asks, where it needs one
	Limit  int            `json:"limit"`           // candidates at most
	Params map[string]any `json:"params,omitempty"`
}

// RankerSpec is the ranker and its weights.
type RankerSpec struct {
	Ranker  string             `json:"ranker"`            // by its name in models/pipeline/rank
	Model   string             `json:"model,omitempty"`   //
	Weights map[string]float64 `json:"weights,omitempty"` // by the ranker's own terms
}

// ComponentSpec is a filter or a selector.
type ComponentSpec struct {
	Name   string         `json:"name"`
	Params map[string]any `json:"params,omitempty"`
}

// Duration is a time.Duration that reads and writes as "15ms".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}
