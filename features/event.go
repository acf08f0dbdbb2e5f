package features

import (
	"fmt"
	"time"
)

// EventType is what a shopper did, or what was shown.
type EventType uint8

// The event types. Their numbers are stored and never reused.
const (
	EventUnknown   EventType = 0
	Impression     EventType = 1  // an item was on the screen
	Click          EventType = 2  // an item shown in a list was opened
	View           EventType = 3  // an item's own page was seen
	Dwell          EventType = 4  // Value: seconds spent on an item
	Search         EventType = 5  // Text: what was searched
	CartAdd        EventType = 6  // Quantity, Price
	CartRemove     EventType = 7  // Quantity
	WishAdd        EventType = 8  // put on the wish list
	WishRemove     EventType = 9  // taken off it
	Purchase       EventType = 10 // Quantity, Price, Order
	Return         EventType = 11 // Quantity, Price, Order
	Rating         EventType = 12 // Value: 1 to 5
	Review         EventType = 13 // Value: 1 to 5, Text
	Share          EventType = 14 // Target: where to
	Like           EventType = 15
	Dislike        EventType = 16
	Comment        EventType = 17 // Text
	Follow         EventType = 18 // Target: whom
	Unfollow       EventType = 19 // Target: whom
	AdClick        EventType = 20 // Target: the campaign
	MessageOpen    EventType = 21 // Target: the message
	Hide           EventType = 22 // never show this item again
	NotInterested  EventType = 23 // fewer like this
	Satisfaction   EventType = 24 // Value: 1 to 5
	Complaint      EventType = 25 // Text
	eventTypeCount           = 26
)

var eventTypeNames = [eventTypeCount]string{
	"unknown", "impression", "click", "view", "dwell", "search", "cart_add", "cart_remove", "wish_add",
	"wish_remove", "purchase", "return", "rating", "review", "share", "like", "dislike", "comment", "follow",
	"unfollow", "ad_click", "message_open", "hide", "not_interested", "satisfaction", "complaint",
}

// String is the type's name in files and metrics: "cart_add".
func (t EventType) String() string {
	if int(t) < len(eventTypeNames) {
		return eventTypeNames[t]
	}
	return fmt.Sprintf("event_type_%d", uint8(t))
}

// ParseEventType reads what String wrote.
func ParseEventType(s string) (EventType, error) {
	for i, name := range eventTypeNames[1:] {
		if name == s {
			return EventType(i + 1), nil
		}
	}
	return EventUnknown, fmt.Errorf("unknown event type %q: expected one of %v", s, eventTypeNames[1:])
}

// EventTypes lists every type but EventUnknown, in order of number.
func EventTypes() []EventType {
	all := make([]EventType, 0, eventTypeCount-1)
	for t := Impression; t < eventTypeCount; t++ {
		all = append(all, t)
	}
	return all
}

// AboutItem reports whether an event of this type must name an item.
func (t EventType) AboutItem() bool {
	switch t {
	case Search, Follow, Unfollow, AdClick, MessageOpen, Satisfaction, Complaint, EventUnknown:
		return false
	}
	return true
}

// Event is one thing that happened in a shop, as it is stored. An event is
// immutable once it has a sequence number.
type Event struct {
	Seq      int64     // position in the shop's log, from 1; 0 before it is stored
	Shop     ShopID    //
	ID       string    // the client's own id of the event: a repeat of it is not stored twice
	Type     EventType //
	User     UserKey   // who; zero when only the session is known
	Session  UserKey   // the anonymous session; zero when none was given
	Item     string    // the shop's id of the item
	Time     time.Time // when it happened, corrected for the client's clock, UTC, to the millisecond
	Received time.Time // when it arrived, UTC, to the millisecond

	Surface, Channel, Device, Market, Locale string

	Quantity int32   // pieces; 0 means not given
	Price    Money   // of one piece
	Value    float64 // by type: seconds, stars
	Order    string  // the order or basket it belongs to
	Text     string  // by type: query, review, comment
	Target   string  // by type: account, campaign, message

	Recommendation string // the answer that led to it, for attribution
	Position       int32  // place in that answer, from 1; 0 means not given

	Attributes map[string]string
}

// Subject is the key the event's history belongs to: the user when known, the
// session otherwise.
func (e *Event) Subject() UserKey {
	if !e.User.IsZero() {
		return e.User
	}
	return e.Session
}

// Interest reports whether an event of this type speaks for its item: what a
// shopper looked at, wanted, bought or praised. A rating counts whatever its
// stars.
func (t EventType) Interest() bool {
	switch t {
	case Click, View, Dwell, CartAdd, WishAdd, Purchase, Rating, Review, Share, Like, Comment:
		return true
	}
	return false
}
