package api

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/attune-rec/attune/features/store"
)

// The most that a row may hold.
const (
	mostEvent  = maxRaw   // bytes of an event
	mostChange = 1 << 20  // bytes of an item or a user
	mostPieces = 10_000   // of a batch, as of a batch call
	mostRow    = 16 << 20 // bytes of a batch
)

// ruleUnreadable is the rule of rows that are not the JSON of what they should
// be.
const ruleUnreadable = "unreadable"

// piece is one event, item or user of a row.
type piece[M proto.Message] struct {
	message M
	raw     []byte
	several bool  // the row is a batch
	err     error // why it cannot be read
}

// split reads a row: one message, or several in a list of that name.
func split[M proto.Message](value []byte, list string, most int, fresh func() M) []piece[M] {
	whole := func(err error) []piece[M] { return []piece[M]{{raw: value, err: err}} }
	if len(value) > mostRow {
		return whole(fmt.Errorf("expected at most %d bytes: got %d", mostRow, len(value)))
	}
	top, ok := outer(value, list)
	var raws []json.RawMessage // not the row's own bytes: reading into it writes there
	if !ok {
		raws = []json.RawMessage{value}
	} else {
		if err := json.Unmarshal(top[list], &raws); err != nil {
			return whole(fmt.Errorf("%s: expected a list: %w", list, err))
		}
		for name := range top {
			if name != list {
				return whole(fmt.Errorf("unknown field %q beside %q", name, list))
			}
		}
		if len(raws) == 0 || len(raws) > mostPieces {
			return whole(fmt.Errorf("%s: expected 1 to %d: got %d", list, mostPieces, len(raws)))
		}
	}
	all := make([]piece[M], len(raws))
	for i, raw := range raws {
		all[i] = piece[M]{message: fresh(), raw: raw, several: ok}
		all[i].err = decode(raw, most, all[i].message)
	}
	return all
}

func decode(raw []byte, most int, into proto.Message) error {
	if len(raw) > most {
		return fmt.Errorf("expected at most %d bytes: got %d", most, len(raw))
	}
	return protojson.Unmarshal(raw, into)
}

// outer is the fields of a row that has one of that name.
func outer(value []byte, name string) (map[string]json.RawMessage, bool) {
	if !bytes.Contains(value, []byte(`"`+name+`"`)) { // most have none
		return nil, false
	}
	var top map[string]json.RawMessage
	if json.Unmarshal(value, &top) != nil {
		return nil, false
	}
	_, ok := top[name]
	return top, ok
}

// unread is the letter of something that could not be read as what it should be,
// as far as it can be told whom it speaks of.
func unread(names pseudonyms, what What, raw []byte) (d store.DeadLetter) {
	if len(raw) <= maxRaw {
		d.Payload = raw
	}
	var loose struct {
		ID      json.RawMessage `json:"id"`
		User    json.RawMessage `json:"user"`
		Session json.RawMessage `json:"session"`
	}
	if json.Unmarshal(raw, &loose) != nil {
		return d
	}
	switch user, session := text(loose.User), text(loose.Session); {
	case what == UserRows:
		var inner struct {
			ID json.RawMessage `json:"id"`
		}
		_ = json.Unmarshal(loose.User, &inner)
		d.User = names.User(text(loose.ID) + text(inner.ID)) // one of them is there
	case what == EventRows && user != "":
		d.User = names.User(user)
	case what == EventRows:
		d.User = names.Session(session)
	}
	return d
}

// text is a JSON string or number as text; "" for all else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}
