// Package expr is the one expression language of Attune: CEL over the fields
// of an item, of the shopper and of the request, for rules, segments and
// audiences.
//
// A program is split when it is compiled. What looks at the request or the
// shopper alone is evaluated once a request; what looks at the item alone is a
// bitmap or a column of numbers, made once a catalogue snapshot; only what
// mixes the two runs for a candidate. Split and plain evaluation give the same
// answer for every item.
//
// A value that is not known (no price, no profile, no such attribute) makes
// what is computed from it unknown, as NULL does in SQL: a comparison with it
// is neither true nor false, `false && unknown` is false, `true || unknown` is
// true. What is unknown in the end does not hold.
//
// It imports features and CEL. Start reading at Engine; fields.go has the
// vocabulary, plan.go the split, column.go what is kept of a snapshot.
package expr
