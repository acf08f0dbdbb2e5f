// Package rule steers what a pipeline answers by a shop's own rules: filters,
// boosts, burials, pins and quotas over CEL expressions, by surface and time.
//
// Rules are compiled once into an immutable Rules, which is warmed for a
// catalogue and then serves. What looks at the request alone is evaluated once
// a request, what looks at the item alone once a catalogue, and only what
// mixes the two for each candidate.
//
// A filter that cannot run lets nothing through, whatever else can not changes
// nothing; the answer says so in both cases.
//
// It imports models/pipeline, features/expr and what lies below. Start reading
// at Compile; steer.go is what happens to a request, quota.go how places are
// given away.
package rule

import (
	"fmt"
	"strings"
	"time"
)

// Action is what a rule does with the items it is about.
type Action string

// The actions.
const (
	Filter Action = "filter" // keep back all others, or, with Drop, these
	Boost  Action = "boost"  // move by Factor
	Bury   Action = "bury"   // put behind all others
	Pin    Action = "pin"    // put the best at Slot
	Quota  Action = "quota"  // give so many places to them
)

// Rule is what is to be done with which items, for whom.
type Rule struct {
	Name      string `json:"name"`                // unique in its set
	When      string `json:"when,omitempty"`      // expr.Segment: the requests it holds for; "": all
	Condition string `json:"condition,omitempty"` // expr.Rule: the items it is about; "": all
	Off       bool   `json:"off,omitempty"`
	Priority  int    `json:"priority,omitempty"` // the higher, the earlier it has its way
	Action    Action `json:"action"`

	Drop      bool    `json:"drop,omitempty"`      // of a filter: keep back what Condition holds for
	Factor    string  `json:"factor,omitempty"`    // of a boost: expr.Number, over 0
	Slot      int     `json:"slot,omitempty"`      // of a pin: the place, from 1
	Sponsored bool    `json:"sponsored,omitempty"` // of a pin: somebody pays for the place
	MinCount  int     `json:"min_count,omitempty"` // of a quota; 0: no such bound
	MaxCount  int     `json:"max_count,omitempty"`
	MinShare  float64 `json:"min_share,omitempty"` // of the places asked for, rounded up
	MaxShare  float64 `json:"max_share,omitempty"` // likewise, rounded down
}

// Set is rules that hold together, on one surface, for a time.
type Set struct {
	ID      string
	Surface string    // "": every surface
	Starts  time.Time // zero: always
	Ends    time.Time // zero: never; exclusive
	Rules   []Rule
}

// holds reports whether the set holds at now.
func (s *Set) holds(now time.Time) bool {
	return (s.Starts.IsZero() || !now.Before(s.Starts)) && (s.Ends.IsZero() || now.Before(s.Ends))
}

// Fault is a rule that cannot run.
type Fault struct {
	Set, Rule string
	Index     int    // of the rule in its set
	Field     string // "when", "condition", "factor", "slot" …; "": the rule as a whole
	Err       error  // wraps expr.ErrExpression where an expression is wrong
}

// Error implements error.
func (f *Fault) Error() string {
	return fmt.Sprintf("rule %q of set %q: %s: %v", f.Rule, f.Set, f.Field, f.Err)
}

// Unwrap is Err.
func (f *Fault) Unwrap() error { return f.Err }

// check is what is wrong with a rule before its expressions are looked at.
func (r *Rule) check() (field string, err error) {
	switch r.Action {
	case Filter:
		if strings.TrimSpace(r.Condition) == "" && (strings.TrimSpace(r.When) == "" || !r.Drop) {
			return "condition", fmt.Errorf("a filter needs a condition; one that drops everything for some requests needs when")
		}
	case Boost:
		if strings.TrimSpace(r.Factor) == "" {
			return "factor", fmt.Errorf("a boost needs a factor: expected a number such as 1.5, or an expression")
		}
	case Bury:
		if strings.TrimSpace(r.Condition) == "" {
			return "condition", fmt.Errorf("it says which items go behind all others: expected an expression")
		}
	case Pin:
		if r.Slot < 1 {
			return "slot", fmt.Errorf("slot %d: expected a place from 1", r.Slot)
		}
		if strings.TrimSpace(r.Condition) == "" {
			return "condition", fmt.Errorf("it says which items the place is for: expected an expression")
		}
	case Quota:
		switch {
		case strings.TrimSpace(r.Condition) == "":
			return "condition", fmt.Errorf("it says which items are counted: expected an expression")
		case r.MinCount < 0 || r.MaxCount < 0 || !(r.MinShare >= 0 && r.MinShare <= 1) || !(r.MaxShare >= 0 && r.MaxShare <= 1):
			return "quota", fmt.Errorf("expected counts of 0 or more and shares from 0 to 1")
		case r.MinCount == 0 && r.MaxCount == 0 && r.MinShare == 0 && r.MaxShare == 0:
			return "quota", fmt.Errorf("expected a bound")
		case r.MaxCount > 0 && r.MinCount > r.MaxCount, r.MaxShare > 0 && r.MinShare > r.MaxShare:
			return "quota", fmt.Errorf("the least must not be above the most")
		}
	default:
		return "action", fmt.Errorf("action %q: expected filter, boost, bury, pin or quota", r.Action)
	}
	return "", nil
}
