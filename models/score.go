package models

import (
	"github.com/attune-rec/attune/features"
)

// Scorer gives each item a number: the higher, the better for the request. It
// is immutable and safe for concurrent use; a steady request allocates nothing.
type Scorer interface {
	// Score fills out[i] with the score of items[i]; NaN where it cannot say.
	// len(out) is len(items). It may use r.Scratch when there is one.
	Score(r *features.Request, items []features.Row, out []float32)
}

// BatchScorer scores the same items for several requests at once. The numbers
// equal those of Score, to rounding.
type BatchScorer interface {
	// ScoreMany fills out request by request: len(rs)*len(items) numbers.
	ScoreMany(rs []*features.Request, items []features.Row, out []float32)
}

// Embedder gives a request a vector whose inner product with an item's vector
// is the item's score.
type Embedder interface {
	Dim() int
	// Embed fills dst, Dim numbers; false when nothing is known to embed (cold
	// start), dst is then undefined.
	Embed(r *features.Request, dst []float32) bool
	// Vectors is the items' side, row-major, Dim numbers a row; shared,
	// read-only.
	Vectors() []float32
}

// ItemEmbedder gives a vector to an item newer than the model, from what the
// catalogue says of it.
type ItemEmbedder interface {
	EmbedItem(it *features.Item, dst []float32) bool
}

// ProfileEmbedder gives a vector to someone without a history that may be used,
// from what else the request says of them.
type ProfileEmbedder interface {
	// EmbedProfile is Embedder.Embed without the history; false when what is
	// said of the shopper tells nothing.
	EmbedProfile(r *features.Request, dst []float32) bool
}

// Neighbour is an item beside another, with how close it is.
type Neighbour struct {
	Row   features.Row
	Score float32
}

// Neighbourhood is what answers "similar items" and "often bought with".
type Neighbourhood interface {
	// Neighbours appends at most k neighbours of item that are in allow (nil:
	// all), by descending score, ties by row. An unknown item has none.
	Neighbours(item features.Row, k int, allow *features.Bitmap, dst []Neighbour) []Neighbour
}

// Evidence is what an item's score rests on most.
type Evidence struct {
	Item         features.Row       // the history item; NoRow when it rests on none
	Type         features.EventType // what the shopper did with it
	Contribution float32            // by how much the score would fall without it; above 0
}

// GoalPurchase is the goal that money is made by.
const GoalPurchase = "purchase"

// Funnel tells the goals apart that a shopper may reach by an item shown. It is
// safe for concurrent use.
type Funnel interface {
	// Goals is the goals' names, the nearest first.
	Goals() []string
	// Heads fills out with the calibrated probability of every goal for every
	// item, as many numbers an item as there are goals, items in order; NaN where
	// it cannot say.
	Heads(r *features.Request, items []features.Row, out []float32)
}

// Explainer says why. The claim is testable: with the evidence taken out of the
// history, the item's score falls.
type Explainer interface {
	// Explain returns the strongest evidence for item; false when there is none.
	Explain(r *features.Request, item features.Row) (Evidence, bool)
}

// Attributor is an Explainer that can say of the whole history at once how much
// a score rests on each item of it, to first order and without proof. That is
// what explaining many items of one answer needs. Its methods allocate nothing
// where r has a Scratch in use, and are false where they cannot say.
type Attributor interface {
	// Attribute adds to out[i] scale times by how much item's score would fall
	// without rows[i]. rows are taste.Items of r's history.
	Attribute(r *features.Request, item features.Row, rows []features.Row, scale float32, out []float32) bool
	// AttributeSum does so for the sum of the scores of items, each times its
	// weight; items of weight 0 are passed over.
	AttributeSum(r *features.Request, items []features.Row, weights []float32, rows []features.Row, out []float32) bool
	// AttributeMoments adds to mean[i] and deviation[i] by how much the moments
	// of the whole catalogue's scores would fall without rows[i].
	AttributeMoments(r *features.Request, m Moments, rows []features.Row, mean, deviation []float32) bool
}

// PairAttributor is an Attributor that works out two sums over the same items in
// little more time than one.
type PairAttributor interface {
	Attributor
	// AttributeSums is AttributeSum for each of two weights.
	AttributeSums(r *features.Request, items []features.Row, one, other []float32, rows []features.Row, first, second []float32) bool
}

// Moments are the mean and the standard deviation of the scores of a catalogue.
type Moments struct {
	Mean, Deviation float32
	// Of an Embedder: the mean of the items' vectors, and their covariance times
	// the request's vector, over the deviation.
	Centre, Lean []float32
}
