// Package release keeps what the trainer publishes and the server loads: one
// immutable directory a version, and beside it the numbered states that say
// which version a shop serves.
//
//	<root>/<shop>/releases/<version>/manifest.json
//	                                /items.parquet          dictionary and catalogue snapshot, by row
//	                                /models/<name>.safetensors
//	                                /models/<name>.json     parameters and what else it needs
//	                                /recipes.json           one recipe a surface
//	                                /metrics.json           what it was judged by
//	<root>/<shop>/serving/<n>.json                          stable, canary, shadow
//
// Start reading at Manifest, then Open and Publish.
package release

import (
	"errors"
	"time"

	"github.com/attune-rec/attune/features"
)

// The formats of a release. A reader opens FormatOldest to FormatCurrent and
// refuses the rest with ErrFormat.
//
//	1  the first
const (
	FormatOldest  = 1
	FormatCurrent = 1
)

// The ways a release or state can be refused.
var (
	ErrNotFound = errors.New("release not found")
	ErrCorrupt  = errors.New("release is corrupt")
	ErrFormat   = errors.New("release has a format this program cannot read")
	ErrExists   = errors.New("release exists already")
	ErrStale    = errors.New("serving state has changed meanwhile")
)

// Manifest describes one release. It is written last and read first.
type Manifest struct {
	Format  int             `json:"format"`
	Shop    features.ShopID `json:"shop"`
	Version string          `json:"version"` // sorts by time: 20261122T200312Z-7f3a
	Created time.Time       `json:"created"`
	Items   int             `json:"items"`
	Files   []File          `json:"files"`  // every file but the manifest, by path
	Models  []ModelEntry    `json:"models"` // parts before what is made of them
	Lineage Lineage         `json:"lineage"`
}

// File is a file of the release with what it must be.
type File struct {
	Path   string `json:"path"` // slash-separated, relative, clean
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // 64 hexadecimal digits
}

// ModelEntry is a model of the release.
type ModelEntry struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// Lineage says what a release was made of. It names no person.
type Lineage struct {
	DataFrom     time.Time          `json:"data_from"`
	DataTo       time.Time          `json:"data_to"`
	FirstSeq     int64              `json:"first_seq,omitempty"`
	LastSeq      int64              `json:"last_seq,omitempty"`
	Events       int64              `json:"events"`
	Users        int                `json:"users"`
	Parameters   map[string]any     `json:"parameters"` // by model name
	Seed         uint64             `json:"seed"`
	Code         string             `json:"code"` // version of the program
	Parent       string             `json:"parent,omitempty"`
	EventWeights map[string]float64 `json:"event_weights,omitempty"`
}

// Serving is one numbered state of what a shop serves. States are only added;
// the highest number holds.
type Serving struct {
	Number int64     `json:"number"` // from 1
	Stable string    `json:"stable"` // version
	Canary *Canary   `json:"canary,omitempty"`
	Shadow string    `json:"shadow,omitempty"`
	Action string    `json:"action"` // promote, canary, rollback
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
}

// Canary is a version that a share of the shoppers receive.
type Canary struct {
	Version string  `json:"version"`
	Share   float64 `json:"share"` // 0 to 1
	Salt    string  `json:"salt"`  // of the sticky assignment
}
