// Package features is the vocabulary of Attune: who shops (Shopper), what is
// sold (Item), what happened (Event), what is asked (Query, Request) and how a
// number is made of it (Feature).
//
// It imports the standard library only. Everything to its right (the packages
// below features, then models, then the programs) speaks in these types; the
// wire format is converted to them in server/api and server/collect and
// nowhere else.
//
// Start reading at Request: it is what every model, source, filter, ranker and
// selector receives.
package features
