package store

import (
	"hash/crc32"

	"github.com/attune-rec/attune/features"
)

// A page is events that were committed together:
//
//	1 byte     version
//	varint     number of strings, then each as length and bytes: what repeats
//	           (surface, channel, device, market, locale, currency)
//	varint     number of events, then each as
//	           varint steps of the sequence number since the event before
//	           varint mask of the fields that are there, in the order below
//	           1 byte type, zigzag milliseconds since the event before, zigzag
//	           milliseconds from time to received, and the fields of the mask
//	4 bytes    CRC-32C of all before
//
// Text and attributes stand in it as they were encrypted.
const (
	pageV1     = 1
	pageEvents = 64 // events in a page at most: what reading one of them costs
)

const (
	hasID = 1 << iota
	hasUser
	hasSession
	hasItem
	hasSurface
	hasChannel
	hasDevice
	hasMarket
	hasLocale
	hasQuantity
	hasPrice
	hasCurrency
	hasValue
	hasOrder
	hasText
	hasTarget
	hasRecommendation
	hasPosition
	hasAttributes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stored is an event as it lies on disk: its Text and Attributes are empty and
// stand encrypted beside it.
type stored struct {
	features.Event
	text, attributes []byte
}
