// Package models is the vocabulary of what is learnt: a Scorer gives numbers
// to items, an Embedder gives a vector to a request, an Index finds vectors, a
// Model is trained and kept in a release, a Recipe says how a surface is
// answered with them.
//
// It imports features and what lies below. A family of models is a package
// beside this file; models/kind lists them all; models/modeltest is the suite
// that each of them passes.
package models
