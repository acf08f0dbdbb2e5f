// Package dataset turns a store or files into what models are trained on and
// judged by: histories by user, dense item rows, and splits of both.
//
// It imports features and the packages below it. Start reading at Dataset; the
// loaders of public formats and the splits are beside it, one to a file.
package dataset

import (
	"fmt"
	"strings"

	"github.com/attune-rec/attune/features"
)

// Dataset is the histories of users over a fixed list of items, user by user,
// each in log order. It is immutable after it is built and safe for
// concurrent use.
type Dataset struct {
	Users   []string               // names of the users, as a file or the store calls them
	Items   []string               // names of the items; a Row indexes it
	Ptr     []int64                // len(Users)+1; user u owns Log[Ptr[u]:Ptr[u+1]]
	Log     []features.Interaction // oldest first within a user
	Markets []string               // names of markets; Market indexes it
	Market  []uint16               // of each interaction; nil when markets are unknown
	Manners []Manner               // of each user; nil when none is known
	Catalog features.Catalog       // what the items are; nil when only ids are known
}

// Manner is how a user first came to the shop, besides the market: what a
// request says of anybody.
type Manner struct {
	Language string // "de"; "" is unknown
	Channel  string // "app"; "" is unknown
	Device   string // "phone"; "" is unknown
}

// MannerOf is that of a request or event in a locale, such as "de-AT", through
// a channel and on a device.
func MannerOf(locale, channel, device string) Manner {
	language, _, _ := strings.Cut(locale, "-")
	return Manner{Language: strings.ToLower(language), Channel: strings.ToLower(channel), Device: strings.ToLower(device)}
}

// Manner is user u's, or nothing.
func (d *Dataset) Manner(u int) Manner {
	if d.Manners == nil {
		return Manner{}
	}
	return d.Manners[u]
}

// History is user u's interactions, oldest first. It is shared and read-only.
func (d *Dataset) History(u int) []features.Interaction { return d.Log[d.Ptr[u]:d.Ptr[u+1]] }

// NumUsers is the number of users, those without history included.
func (d *Dataset) NumUsers() int { return len(d.Users) }

// NumItems is the number of items, those never seen included.
func (d *Dataset) NumItems() int { return len(d.Items) }

// LastMarket is the market of user u's newest interaction, or "".
func (d *Dataset) LastMarket(u int) string {
	if d.Market == nil || d.Ptr[u] == d.Ptr[u+1] {
		return ""
	}
	return d.Markets[d.Market[d.Ptr[u+1]-1]]
}

// LastTimeMS is the time of the newest interaction of all, in Unix
// milliseconds; 0 when there is none.
func (d *Dataset) LastTimeMS() int64 {
	var last int64
	for i := range d.Log {
		last = max(last, d.Log[i].TimeMS)
	}
	return last
}

// Validate reports the first thing about d that is not as its fields say.
func (d *Dataset) Validate() error {
	if len(d.Ptr) != len(d.Users)+1 || d.Ptr[0] != 0 || d.Ptr[len(d.Users)] != int64(len(d.Log)) {
		return fmt.Errorf("dataset: pointers do not span %d users and %d interactions", len(d.Users), len(d.Log))
	}
	if d.Market != nil && len(d.Market) != len(d.Log) {
		return fmt.Errorf("dataset: %d markets for %d interactions", len(d.Market), len(d.Log))
	}
	if d.Manners != nil && len(d.Manners) != len(d.Users) {
		return fmt.Errorf("dataset: %d manners for %d users", len(d.Manners), len(d.Users))
	}
	for u := range d.Users {
		if d.Ptr[u] > d.Ptr[u+1] {
			return fmt.Errorf("dataset: user %q ends before it begins", d.Users[u])
		}
		for i := d.Ptr[u]; i < d.Ptr[u+1]; i++ {
			if r := d.Log[i].Row; r < 0 || int(r) >= len(d.Items) {
				return fmt.Errorf("dataset: user %q has row %d of %d items", d.Users[u], r, len(d.Items))
			}
		}
	}
	return nil
}

// Builder collects interactions in any order of users, and in log order within
// a user. The zero value is ready; it is not safe for concurrent use.
type Builder struct {
	users   index
	items   index
	markets index
	log     []record
}

type record struct {
	user   int32
	market uint16
	inter  features.Interaction
}

type index struct {
	at    map[string]int32
	names []string
}

func (x *index) add(name string) int32 {
	if x.at == nil {
		x.at = make(map[string]int32)
	}
	i, ok := x.at[name]
	if !ok {
		i = int32(len(x.names))
		x.at[name] = i
		x.names = append(x.names, name)
	}
	return i
}

// User makes sure the user exists, with or without a history, and returns its
// number.
func (b *Builder) User(name string) int { return int(b.users.add(name)) }

// Item makes sure the item exists and returns its row.
func (b *Builder) Item(name string) features.Row { return features.Row(b.items.add(name)) }

// Add appends an interaction to the user's history; Row is set from item.
func (b *Builder) Add(user, item, market string, it features.Interaction) {
	it.Row = b.Item(item)
	b.log = append(b.log, record{user: b.users.add(user), market: uint16(b.markets.add(market)), inter: it})
}

// Build returns the dataset; the builder must not be used afterwards.
func (b *Builder) Build() *Dataset {
	d := &Dataset{
		Users: b.users.names, Items: b.items.names,
		Ptr: make([]int64, len(b.users.names)+1), Log: make([]features.Interaction, len(b.log)),
	}
	known := len(b.markets.names) > 1 || (len(b.markets.names) == 1 && b.markets.names[0] != "")
	if known {
		d.Markets, d.Market = b.markets.names, make([]uint16, len(b.log))
	}
	for i := range b.log {
		d.Ptr[b.log[i].user+1]++
	}
	for u := range d.Users {
		d.Ptr[u+1] += d.Ptr[u]
	}
	next := append([]int64(nil), d.Ptr[:len(d.Users)]...)
	for i := range b.log {
		r := &b.log[i]
		at := next[r.user]
		next[r.user]++
		d.Log[at] = r.inter
		if known {
			d.Market[at] = r.market
		}
	}
	return d
}
