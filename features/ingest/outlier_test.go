package ingest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
)

// A quantity far beyond the rest is cut to the limit, which is told, and a rule
// of the caller's own runs after it: what it refuses is kept with its reason.
func TestOutliersAreCut(t *testing.T) {
	var b strings.Builder
	b.WriteString("who,what,pieces,price,order,at\n")
	for i := range 200 {
		fmt.Fprintf(&b, "u%d,cup,%d,2.50,o%d,2026-01-02 10:00:00\n", i%40, 1+i%5, i)
	}
	b.WriteString("u1,cup,100000,2.50,big,2026-01-02 10:00:00\nu2,pot,1,2.50,pot,2026-01-02 10:00:00\n")
	m, err := ParseColumns("user=who,item=what,quantity=pieces,price=price,order=order,time=at")
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t)
	noPots := &rule{"no_pots", "pots are not ours", func(r *Record) (Effect, string) {
		if r.Event.Item == "pot" {
			return Refused, fmt.Sprintf("a pot among %d pieces at most", r.Event.Quantity)
		}
		return Kept, ""
	}}
	r, err := Import(context.Background(), written(t, "sales.csv", b.String()), s, Options{Mapping: m, Rules: []Rule{noPots}})
	if err != nil || r.Kept != 201 || r.Refused != 1 || r.Limit < 5 || r.Limit > 10_000 {
		t.Fatalf("got %+v, %v: want one pot refused and a limit above what is usual", r, err)
	}
	if cut := r.Rule("outlier_quantity"); cut.Changed != 1 {
		t.Errorf("got %+v, want one quantity cut", cut)
	}
	most := int32(0)
	for _, e := range events(t, s) {
		if e.Type == features.Purchase {
			most = max(most, e.Quantity)
		}
	}
	if most != r.Limit {
		t.Errorf("got %d pieces at most, want the limit %d", most, r.Limit)
	}
	dead, err := s.ListDead(context.Background(), shop, 0, 10)
	if err != nil || len(dead) != 1 || dead[0].Rule != "no_pots" || dead[0].Reason != "a pot among 1 pieces at most" {
		t.Errorf("got %+v, %v: want the pot with its reason", dead, err)
	}
}
