package pipeline

import (
	"context"

	"github.com/attune-rec/attune/features"
)

// MaxSources is how many sources a recipe may have: one bit each in From, and
// one for what rules bring in.
const MaxSources = 63

// Candidate is an item on its way to the answer.
type Candidate struct {
	Row        features.Row
	Score      float32 // set by the ranker; a source sets its own score here
	From       uint64  // bit i: source i of the recipe proposed it
	Main       uint8   // the source with the best place for it
	Propensity float32 // the chance of standing here; 1 unless a selector explored
	Sponsored  bool    // paid for its place, and must be labelled
}

// Source proposes candidates. It appends at most n eligible ones to dst, best
// first, with its own score; it gives what it has when ctx ends. An error
// degrades the answer and never fails it. Safe for concurrent use.
type Source interface {
	Name() string
	Candidates(ctx context.Context, r *features.Request, n int, dst []Candidate) ([]Candidate, error)
}

// Filter narrows. Mask takes rows out of the eligible set before the sources
// are asked; Keep re-checks, at the end, what depends on the candidate.
type Filter interface {
	Name() string
	Mask(r *features.Request, eligible *features.Bitmap)
	Keep(r *features.Request, item features.Row) bool
}

// Ranker sets scores in place: the higher, the better. It never drops or
// reorders; a NaN score means it cannot say and puts the candidate last.
type Ranker interface {
	Name() string
	Rank(ctx context.Context, r *features.Request, cs []Candidate) error
}

// Sourced is a ranker that tells candidates apart by who proposed them.
type Sourced interface {
	Ranker
	// Among is the ranker for a recipe with these sources, in the order of the
	// bits of From.
	Among(sources []string) Ranker
}

// Selector orders and cuts what was ranked: diversity, quotas, slots,
// exploration. It receives candidates by descending score, may reuse cs, and
// invents none.
type Selector interface {
	Name() string
	Select(r *features.Request, cs []Candidate) []Candidate
}

// Steerer has a shop's rules. It is safe for concurrent use.
type Steerer interface {
	// Steer is the rules that hold for a request; nil when none does.
	Steer(r *features.Request) Steering
}

// Steering is the rules for one request, used by its goroutine until Done. A
// panic of Mask or Keep lets nothing through, a failure of the others costs
// what they would have done; the answer says so under the name "rules".
type Steering interface {
	// Mask takes out what rules keep back, before the sources are asked.
	Mask(eligible *features.Bitmap)
	// Keep re-checks what depends on the candidate.
	Keep(row features.Row) bool
	// Wanted appends eligible rows that rules have a place for and no source
	// found.
	Wanted(eligible *features.Bitmap, found []Candidate, dst []features.Row) []features.Row
	// Adjust changes the scores that the ranker set, in place.
	Adjust(cs []Candidate) error
	// Arrange orders and cuts what selectors picked of what was ranked; it may
	// bring back what they dropped. It owns picked.
	Arrange(ranked, picked []Candidate) ([]Candidate, error)
	// Broken names the rules that cannot run.
	Broken() []string
	Done()
}

// ReasonKind is the sort of sentence a reason becomes.
type ReasonKind string

// The kinds of reasons.
const (
	BecauseOf   ReasonKind = "because_of"   // Item: what the shopper did something with
	BoughtWith  ReasonKind = "bought_with"  // Item: in the cart or on the page
	SimilarTo   ReasonKind = "similar_to"   // Item: in the history or on the page
	PopularIn   ReasonKind = "popular_in"   // Market
	Popular     ReasonKind = "popular"      //
	NewArrival  ReasonKind = "new_arrival"  //
	NextAfter   ReasonKind = "next_after"   // Item: the last one seen
	BuyAgain    ReasonKind = "buy_again"    // Item: the item itself
	ForInterest ReasonKind = "for_interest" // Name: a category or brand
)

// Reason is why an item stands in an answer. It is only given when it is true.
type Reason struct {
	Kind         ReasonKind
	Item         features.Row       // NoRow when it rests on none
	Type         features.EventType // what the shopper did with Item
	Name         string             // market, category or brand
	Contribution float32
}

// Reasoner says why a source or ranker put an item forward; false when it
// cannot say truthfully. Sources and rankers may implement it.
type Reasoner interface {
	Reason(r *features.Request, item features.Row) (Reason, bool)
}

// Judge is a ranker that knows what its scores rest on: a source's reason that
// names an item of the history is only given where the ranker confirms it.
type Judge interface {
	Ranker
	RestsOn(r *features.Request, item, evidence features.Row) bool
}

// Answered is one item of an answer.
type Answered struct {
	Candidate
	Source string
	Reason Reason // Kind "" when there is none
}

// Answer is what a request receives.
type Answer struct {
	Items      []Answered
	Degraded   []Degradation
	Considered int // distinct candidates that were ranked
}

// Degradation says which component did not do its part, and why: "timeout",
// "error", "off", "missing", "open": its circuit breaker is.
type Degradation struct {
	Component string
	Why       string
}
