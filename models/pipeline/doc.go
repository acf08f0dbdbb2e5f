// Package pipeline answers requests: sources propose, filters narrow, a ranker
// scores, selectors order and cut. It does no I/O and runs in the server on
// live state and in the trainer on replayed state.
//
// Start reading at contract.go, which says what each component owes, then at
// pipeline.go, the request from top to bottom.
package pipeline
