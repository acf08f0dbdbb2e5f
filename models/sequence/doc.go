// Package sequence predicts what a shopper does next from what they did, in
// order: recurrent networks (GRU4Rec, an LSTM), self-attention (SASRec), and
// a chain of logarithms that is a good partner for them.
//
// A network reads one event after the other; what it remembers is a State, so
// that a new event costs one step. The state's vector times an item's vector,
// with the item's bias as one more coordinate, is the item's score: any index
// of inner products serves it.
//
// It imports models/nn and what lies below. Start reading at Params, then
// train.go for learning and model.go for serving.
package sequence
