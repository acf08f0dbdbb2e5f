// Package mf factorises the users by items matrix: iALS (implicit alternating
// least squares) and BPR (Bayesian personalised ranking). A release keeps the
// items' vectors only; a shopper's vector is folded in from the history of the
// request, so whoever came a minute ago is served like everyone else, and no
// person is in the release.
//
// It imports models and what lies below. Start reading at Params and Fit for
// training, at ALS for serving.
package mf
