package features

// Feature is a signal: one definition that runs at training, over the replayed
// log, and at serving, over live state, so that both see the same numbers.
type Feature interface {
	// Name is unique among a release's features and appears in its ranker.
	Name() string
	// Width is how many numbers it gives for an item.
	Width() int
	// Update folds one event into state. Events arrive in the order of Seq.
	Update(s State, e Event)
	// Value fills out, len(items)*Width numbers row by row, from r.State and
	// the request alone. NaN stands for unknown.
	Value(r *Request, items []Row, out []float32)
}

// Subject says what a feature's cells are about.
type Subject uint8

// The subjects of state.
const (
	OfShop   Subject = iota // key ""
	OfUser                  // key: UserKey.String or its 16 raw bytes
	OfItem                  // key: the item's id
	OfPair                  // key: user, item
	OfMarket                // key: market
)

// State is what features remember: for each feature, subject and key a fixed
// number of cells. One writer folds events in; readers see whole events.
type State interface {
	// Cells returns the width cells to update, zeroed when new.
	Cells(feature string, of Subject, key string, width int) []float64
	// Read returns the cells, or nil when nothing was folded in yet. The
	// caller must not change them.
	Read(feature string, of Subject, key string) []float64
}
