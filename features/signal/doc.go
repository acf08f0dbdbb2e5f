// Package signal has the numbers that rankers look at beyond models' scores:
// how recently and often a shopper comes, how an item sells, what the two have
// had to do with each other, how an item fits a shopper's taste, purse and the
// hour.
//
// Each signal is one definition for training and serving. What must be
// remembered of the log is folded into a State in the order of Seq; what the
// shopper's own history tells is read from the request, which is made by the
// same code at both. So a replay of the log gives the served numbers to the
// bit, late events included, and a number knows nothing of events after it.
//
// It imports features only. Start reading at Set; memory.go has the State, and
// each other file a signal.
package signal
