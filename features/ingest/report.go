package ingest

import (
	"fmt"
	"strings"
	"time"
)

// Report is what an import did. Every row read is in Kept or Refused.
type Report struct {
	Source     string       `json:"source"`
	Rows       int64        `json:"rows"`
	Kept       int64        `json:"kept"`
	Refused    int64        `json:"refused"`
	Stored     int64        `json:"stored"`     // events that were new
	Duplicates int64        `json:"duplicates"` // events that an earlier import had stored
	Users      int          `json:"users"`
	Items      int          `json:"items"`
	From       time.Time    `json:"from"` // of the events kept
	To         time.Time    `json:"to"`
	Limit      int32        `json:"quantity_limit,omitempty"` // of the outlier rule; 0: none
	Rules      []RuleReport `json:"rules"`
	Buyers     []Buyer      `json:"flagged,omitempty"` // bots and bulk buyers, the most striking first
}

// RuleReport is what one rule did.
type RuleReport struct {
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Refused     int64     `json:"refused"`
	Changed     int64     `json:"changed"`
	Noted       int64     `json:"noted"`
	Examples    []Example `json:"examples,omitempty"` // the first three
}

// Count is how many rows the rule concerned.
func (r *RuleReport) Count() int64 { return r.Refused + r.Changed + r.Noted }

// Example is one row of a rule.
type Example struct {
	Line   int64  `json:"line"`
	Reason string `json:"reason"`
}

const examples = 3

func (r *RuleReport) count(effect Effect, line int64, reason string) {
	switch effect {
	case Refused:
		r.Refused++
	case Changed:
		r.Changed++
	case Noted:
		r.Noted++
	}
	if len(r.Examples) < examples {
		r.Examples = append(r.Examples, Example{line, reason})
	}
}

// Rule is the report of the rule with that name; nil when there is none.
func (r *Report) Rule(name string) *RuleReport {
	for i := range r.Rules {
		if r.Rules[i].Name == name {
			return &r.Rules[i]
		}
	}
	return nil
}

// Text is the report for people, a rule a paragraph.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d rows, %d kept, %d refused\n", r.Source, r.Rows, r.Kept, r.Refused)
	fmt.Fprintf(&b, "events: %d stored, %d stored before; %d users, %d items", r.Stored, r.Duplicates, r.Users, r.Items)
	if !r.From.IsZero() {
		fmt.Fprintf(&b, "; from %s to %s", r.From.Format(time.DateOnly), r.To.Format(time.DateOnly))
	}
	b.WriteString("\n\n")
	for i := range r.Rules {
		rule := &r.Rules[i]
		fmt.Fprintf(&b, "%-22s refused %7d  changed %7d  noted %7d  %s\n", rule.Name, rule.Refused, rule.Changed, rule.Noted, rule.Description)
		for _, e := range rule.Examples {
			fmt.Fprintf(&b, "    line %d: %s\n", e.Line, e.Reason)
		}
	}
	for i := range r.Buyers {
		y := &r.Buyers[i]
		fmt.Fprintf(&b, "%s %s: %d events; %s (%.1f robust deviations)\n", y.Kind, y.Subject, y.Events, y.Why, y.Deviations)
	}
	return b.String()
}
