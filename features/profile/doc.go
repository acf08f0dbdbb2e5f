// Package profile concludes from a shopper's events who the shopper is to the
// shop: what was bought and when, what is of interest, how the shopper stands
// to the shop, and statements (tags) with how sure they are and why. Segments
// group shoppers by rules, by a grid of recency, frequency and money, or by
// clusters that are described in words and by a rule.
//
// Every definition is written out in docs/profiles.md.
//
// It imports features, features/text and features/expr. Start reading at
// State, which events are folded into, and Reference, what the shop's goods
// are measured against; conclude.go makes a Profile of the two.
package profile
