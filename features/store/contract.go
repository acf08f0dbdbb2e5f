// Package store keeps a shop's events, catalogue and users in SQL: SQLite when
// nothing is configured, PostgreSQL when several replicas share it. Older
// ranges of the log are sealed to Parquet.
//
// An event is acknowledged only after it is durable, has its place in its
// shop's log from then on, and is stored once, however often it is sent.
//
// Start reading at the interfaces of this file; migrations/ has the schema.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/attune-rec/attune/features"
)

// The ways the store can refuse.
var (
	ErrNotFound = errors.New("not found")
	ErrReadOnly = errors.New("store is read-only")
	ErrClosed   = errors.New("store is closed")
	ErrCorrupt  = errors.New("store is corrupt")
	ErrInUse    = errors.New("data directory is in use by another writer")
	ErrFull     = errors.New("the disk is full: make room, nothing is taken until there is some")
	ErrSchema   = errors.New("store has a schema this program cannot use")
)

// Log is the events of shops. It is safe for concurrent use.
type Log interface {
	// Append stores the events of one shop in order and returns, once they are
	// durable, what became of each. Events of one call are stored together or
	// not at all.
	Append(ctx context.Context, shop features.ShopID, events []features.Event) ([]Appended, error)
	// Scan calls f with the events with from <= Seq < to (to 0: to the end) in
	// order, in bounded reads, beside the writer. Events passed to f may be
	// reused after it returns; an error from f ends the scan.
	Scan(ctx context.Context, shop features.ShopID, from, to int64, f func(*features.Event) error) error
	// History returns at most limit newest events of a user or session, oldest
	// first, those of the sessions and users merged into it included.
	History(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error)
	// End is the sequence number that the next event will have.
	End(ctx context.Context, shop features.ShopID) (int64, error)
}

// Appended is what became of one event.
type Appended struct {
	Seq       int64
	Duplicate bool // it had been stored before, under Seq
}

// DeadLetter is something that was refused.
type DeadLetter struct {
	ID       int64
	Key      string // the sender's own id: what has the same is kept once; "" is none
	Received time.Time
	Source   string
	Rule     string
	Reason   string
	User     features.UserKey
	Payload  []byte
	Replayed time.Time
}

// User is what a shopper told the shop.
type User struct {
	Key       features.UserKey
	ID        string             // the shop's id
	Consent   *features.Purposes // nil: said nothing
	Market    string
	Languages []string
	Personal  Personal
	Created   time.Time
	Updated   time.Time
}

// Personal is the part of a user that is encrypted at rest.
type Personal struct {
	AgeBand    string            `json:"age_band,omitempty"`
	Gender     string            `json:"gender,omitempty"`
	Region     string            `json:"region,omitempty"`
	Occupation string            `json:"occupation,omitempty"`
	IncomeBand string            `json:"income_band,omitempty"`
	Payment    string            `json:"payment,omitempty"`
	Delivery   string            `json:"delivery,omitempty"`
	Registered time.Time         `json:"registered,omitzero"`
	Friends    []string          `json:"friends,omitempty"`
	Follows    []string          `json:"follows,omitempty"`
	Groups     []string          `json:"groups,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Change is an item that was changed or deleted.
type Change struct {
	Number  int64
	Item    features.Item
	Deleted bool
}

// Catalogue is the items of shops. It is safe for concurrent use.
type Catalogue interface {
	// PutItems stores items, durable when it returns.
	PutItems(ctx context.Context, shop features.ShopID, items []features.Item) error
	GetItem(ctx context.Context, shop features.ShopID, id string) (features.Item, error)
	// ListItems returns at most limit items whose id is after the given one.
	ListItems(ctx context.Context, shop features.ShopID, after string, limit int) ([]features.Item, error)
	DeleteItem(ctx context.Context, shop features.ShopID, id string) error
	// Changes calls f with the changes with a number >= from, in order, and
	// returns the number to go on from.
	Changes(ctx context.Context, shop features.ShopID, from int64, f func(Change) error) (next int64, err error)
}

// Users is the users of shops. It is safe for concurrent use.
type Users interface {
	PutUsers(ctx context.Context, shop features.ShopID, users []User) error
	GetUser(ctx context.Context, shop features.ShopID, key features.UserKey) (User, error)
	ListUsers(ctx context.Context, shop features.ShopID, after features.UserKey, limit int) ([]User, error)
	DeleteUser(ctx context.Context, shop features.ShopID, key features.UserKey) error
	// Consent is what the person agreed to, or the shop's default.
	Consent(ctx context.Context, shop features.ShopID, key features.UserKey) (features.Purposes, error)
	// Pseudonyms turns the shop's ids into keys.
	Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
}

// Served is the record of one answer.
type Served struct {
	Recommendation string
	Time           time.Time
	User, Session  features.UserKey
	Surface        string
	Market         string
	Release        string
	Page           string   // the item whose page it was for; "" elsewhere
	Cart           []string // the items in the cart
	Items          []ServedItem
}

// ServedItem is one item of an answer.
type ServedItem struct {
	Item       string
	Source     string
	Score      float32
	Propensity float32
}

// Journal takes the records of answers.
type Journal interface {
	PutServed(ctx context.Context, shop features.ShopID, records []Served) error
	ScanServed(ctx context.Context, shop features.ShopID, from, to time.Time, f func(*Served) error) error
}

// Identities says which sessions and users turned out to be one person. A link
// changes what History returns and never the events themselves, so that taking
// it back loses and doubles nothing. It is safe for concurrent use.
type Identities interface {
	// Link makes the history of alias part of user's. An alias has one user at
	// a time: a new link replaces the one before.
	Link(ctx context.Context, shop features.ShopID, alias, user features.UserKey) error
	// Unlink takes the link of alias back; ErrNotFound when it has none.
	Unlink(ctx context.Context, shop features.ShopID, alias features.UserKey) error
	// Resolve is the user that key was linked to, through every link; key
	// itself when there is none.
	Resolve(ctx context.Context, shop features.ShopID, key features.UserKey) (features.UserKey, error)
	// Aliases are the keys whose history is part of user's, user not included.
	Aliases(ctx context.Context, shop features.ShopID, user features.UserKey) ([]features.UserKey, error)
}

// Morgue keeps what was refused.
type Morgue interface {
	PutDead(ctx context.Context, shop features.ShopID, letters []DeadLetter) error
	ListDead(ctx context.Context, shop features.ShopID, after int64, limit int) ([]DeadLetter, error)
	MarkReplayed(ctx context.Context, shop features.ShopID, id int64) error
}
