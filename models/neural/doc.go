// Package neural is neural collaborative filtering (He et al. 2017): GMF, a
// multi-layer perceptron, and NeuMF, which is both, over what a shopper has
// met and a candidate item.
//
// A shopper has no row of their own. Their vectors are the weighed sum of the
// vectors of the items they met (as in FISM, Kabbur et al. 2013, and DeepICF,
// Xue et al. 2019), in training as in serving: so a shopper nobody has seen
// before is folded in by adding up a history, at once, and a release names no
// person. An item's vectors are its own and those of what the catalogue says of
// it, so that an item nobody has met is known by its features. IDs is the published network with a row a user, for comparison.
//
// It imports models/nn and what lies below. Start reading at Tower.
package neural
