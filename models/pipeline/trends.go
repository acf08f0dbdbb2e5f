package pipeline

// Span is over how long what is wanted is counted.
type Span uint8

// The spans.
const (
	OfLate Span = iota // events count half after two days
	Lasting
	Spans // how many there are
)

// Trends knows what a shop's shoppers want now, from their events as they come.
// It is safe for concurrent use, and cheap to ask.
type Trends interface {
	// Trend is what is wanted most in a market by a segment; "" is all of them.
	// nil where too few events are known to say.
	Trend(span Span, market, segment string) *Trend
}

// Trend is a chart, best first. It is immutable: another chart is another
// pointer.
type Trend struct {
	Items  []string  // by the shop's ids
	Scores []float32 // decayed counts
}
