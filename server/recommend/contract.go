// Package recommend answers: it puts together a loaded release, the live state
// of a shopper and what is asked, runs the surface's pipeline, and says what
// came out in the shop's own ids and the shopper's words.
//
// It knows nothing of the wire. Start reading at Recommender.Recommend.
package recommend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/server/lately"
	"github.com/attune-rec/attune/server/shopper"
)

// The ways a question cannot be answered.
var (
	// ErrNoRelease is returned while a shop has nothing to answer with.
	ErrNoRelease = errors.New("shop has no release to answer with: train one with 'trainer fit', then 'trainer publish' and 'trainer promote'")
	// ErrItem is returned for an item that the shop does not have.
	ErrItem = errors.New("no such item")
)

// SurfaceError is a surface that the release has no recipe for.
type SurfaceError struct {
	Surface string
	Known   []string
}

// Error implements error.
func (e *SurfaceError) Error() string {
	return fmt.Sprintf("no recipe for surface %q: expected one of %s", e.Surface, strings.Join(e.Known, ", "))
}

// Release is a loaded release with the catalogue as it stands, held for one
// request: nothing of it may be used after Done.
type Release interface {
	Version() string
	Catalog() features.Catalog
	// Pipeline answers a surface; nil when the release has no recipe for it.
	Pipeline(surface string) Pipeline
	// Surfaces lists those that have one.
	Surfaces() []string
	Done()
}

// Pipeline answers the requests of one surface.
type Pipeline interface {
	Answer(ctx context.Context, r *features.Request, ans *pipeline.Answer) error
}

// Releases hands out what is served.
type Releases interface {
	// Acquire is the release that the shopper receives; ErrNoRelease when the
	// shop has none. key is zero for nobody.
	Acquire(ctx context.Context, shop features.ShopID, key features.UserKey) (Release, error)
}

// Shoppers hands out the live state of shoppers.
type Shoppers interface {
	Get(ctx context.Context, shop features.ShopID, user, session features.UserKey, v shopper.View) (*features.Shopper, error)
}

// States hands out what signals remember of a shop's log; nil where nothing
// needs it.
type States interface {
	State(shop features.ShopID) features.State
}

// Journal takes the record of every answer.
type Journal interface {
	Put(shop features.ShopID, s store.Served)
}

// Lately remembers what was answered a little while ago, and what came of it.
type Lately interface {
	Fill(r *features.Request, release string, v *lately.View)
	Answered(r *features.Request, release string, rows []features.Row)
}

// Query is what is asked, in the shop's own ids.
type Query struct {
	Shop          features.ShopID
	User, Session features.UserKey
	Surface       string // "": item with an Item, cart with a Cart, home otherwise
	Market        string
	Locale        string
	Currency      string
	Channel       string
	Device        string
	Text          string
	Item          string
	Cart          []string
	Exclude       []string
	PriceFrom     float64  // units in the market; 0: no lower end
	PriceTo       float64  // 0: no upper end
	Categories    []string // paths joined by '/'; empty: all
	Seen          []byte   // of the page before; nil: the first page
	Limit         int      // at least 1
}

// Answer is what a query receives. Its memory may be used again.
type Answer struct {
	ID       string
	Release  string
	Items    []Item
	Degraded []pipeline.Degradation
	Seen     []byte           // for the next page; nil: there is none
	Of       features.UserKey // whose history or profile it could rest on; zero: nobody's

	raw pipeline.Answer
}

// Item is one item of an answer.
type Item struct {
	ID        string
	Title     string
	Price     features.Money
	Score     float32
	Source    string
	Reason    pipeline.Reason // Kind "" when there is none
	Because   string          // the id of Reason.Item; "" when it rests on none
	Text      string          // the reason in words; "" when there are none
	Sponsored bool
}
