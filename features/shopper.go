package features

import "time"

// Purposes is the set of purposes a person agreed to.
type Purposes uint8

// The purposes of consent.
const (
	Personalisation Purposes = 1 << iota // recommendations from one's own history
	Marketing                            // messages, campaigns, audiences
	Analytics                            // figures and training
)

// AllPurposes is consent to everything.
const AllPurposes = Personalisation | Marketing | Analytics

// Has reports whether p contains all of q.
func (p Purposes) Has(q Purposes) bool { return p&q == q }

// Interaction is one event as models see it: dense, small, without a person.
type Interaction struct {
	Row      Row
	Type     EventType
	TimeMS   int64   // Unix milliseconds
	Quantity float32 // pieces; 1 when not given
	Price    float32 // of one piece in the shop's currency; 0 when not given
	Value    float32 // stars or seconds, by type
}

// HistoryCap is how many interactions a Shopper's Recent holds at most: the
// newest ones. Training folds a user in from the same ones as serving, so that
// both see one history.
const HistoryCap = 512

// Shopper is what was known of one person or session at Query.Now. It is
// read-only and may be shared by requests.
type Shopper struct {
	Key     UserKey
	Recent  []Interaction // by log order, oldest first, at most HistoryCap
	Profile *Profile      // nil: none yet
	Hidden  *Bitmap       // items never to be shown; nil: none
	Consent Purposes
	Version uint64  // grows with every event or change that concerns the shopper
	Memory  *Memory // of Recent, kept between answers; nil: nothing is kept
}

// Known reports whether the shopper has a history that may be used.
func (s *Shopper) Known() bool {
	return s != nil && len(s.Recent) > 0 && s.Consent.Has(Personalisation)
}

// Weighted is a name and how much of it.
type Weighted struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"`
}

// Tag is a statement about a shopper, with how sure it is and why.
type Tag struct {
	Name       string    `json:"name"`
	Confidence float64   `json:"confidence"` // 0 to 1
	Evidence   string    `json:"evidence"`
	Since      time.Time `json:"since"`
}

// Membership is a partner's list that a shopper is on, and how that is known.
type Membership struct {
	Audience string    `json:"audience"`
	Source   string    `json:"source"`           // who brought the list
	Since    time.Time `json:"since"`            // when the shopper was first on it
	Expires  time.Time `json:"expires,omitzero"` // zero: never
}

// Holds reports whether it has not expired at now.
func (m *Membership) Holds(now time.Time) bool { return m.Expires.IsZero() || m.Expires.After(now) }

// Social is what a shopper does among others, in times.
type Social struct {
	Shares  int `json:"shares"`
	Voices  int `json:"voices"`  // reviews, ratings and comments
	Follows int `json:"follows"` // accounts, those no longer followed taken off
}

// Profile is what features/profile concludes from a shopper's events.
type Profile struct {
	Market      string     `json:"market,omitempty"`
	First       time.Time  `json:"first"`
	Last        time.Time  `json:"last"`
	RecencyDays float64    `json:"recency_days"`
	Orders      int        `json:"orders"`
	Spent       float64    `json:"spent"`             // in the shop's currency, returns taken off
	Pieces      int        `json:"pieces"`            // bought, returned ones taken off
	ReturnShare float64    `json:"return_share"`      // of the pieces bought, 0 to 1
	GapDays     float64    `json:"gap_days"`          // mean days from order to order; 0 below two orders
	PriceLevel  float64    `json:"price_level"`       // mean percentile of prices paid within the category, 0 to 1; 0.5 when unknown
	Sensitivity float64    `json:"price_sensitivity"` // how many times as often as everybody's purchases theirs are at a discount; 1 when unknown
	Channel     string     `json:"channel,omitempty"` // by which most visits came
	Social      Social     `json:"social"`
	Lifecycle   string     `json:"lifecycle,omitempty"`
	Categories  []Weighted `json:"categories,omitempty"` // decayed, descending
	Brands      []Weighted `json:"brands,omitempty"`
	Words       []Weighted `json:"words,omitempty"` // of the titles, where goods have no categories
	Tags        []Tag      `json:"tags,omitempty"`
	Segments    []string   `json:"segments,omitempty"`

	Audiences []Membership `json:"audiences,omitempty"` // that hold, by name; none without consent to marketing
}
