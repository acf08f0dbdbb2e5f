// Package ltr is the learnt ranker: it scores the candidates of a request from
// what other models say of them, from where they were retrieved, and from the
// signals of features/signal. It is trained on requests replayed or logged, each
// with the state of its time, and a linear fusion by regression is kept beside
// it as the baseline one can read.
//
// It imports models and what lies below. Start reading at Model; inputs.go says
// what the numbers are, learn.go how their weights are chosen, and how the
// place at which an item was shown is kept from being taken for its worth.
package ltr
