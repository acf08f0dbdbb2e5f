// Package rules finds what is bought together.
//
// Mine lists every set of items that occurs in at least a given number of
// baskets, with its exact count, by FP-growth (Han, Pei and Yin, "Mining
// frequent patterns without candidate generation", SIGMOD 2000). Generate turns
// the sets into association rules with support, confidence, lift and
// conviction (Agrawal and Srikant, VLDB 1994; Brin et al., SIGMOD 1997).
// TopItemsets and TopRules need no threshold: they raise, or lower, the minimum
// support until k results stand. Together is the lookup that serving uses: from
// an item or a cart to what goes with it.
//
// Items are dense int32 numbers; names live in a Dictionary beside them. Market
// and time belong to the caller, who keeps them per basket and selects with
// Baskets.Where. All thresholds are exact ratios compared in integers, so a
// rule whose confidence is exactly the minimum is kept on every machine.
//
// The package does no I/O beyond the io.Reader given to ReadBaskets and imports
// the standard library alone. Start reading at mine.go.
package rules
