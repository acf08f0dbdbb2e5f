// Package customer predicts what single customers will do: whether they still
// buy, how often they will, and what they are worth.
//
// BGNBD is the model of Fader, Hardie and Lee, "Counting Your Customers the Easy
// Way" (Marketing Science 24, 2005): a customer buys at random at a rate of
// their own and after each purchase may leave for good; rates are gamma and
// leaving probabilities beta distributed over customers. GammaGamma is the model
// of spend per purchase of Fader and Hardie (2013). Both need three or four
// numbers a customer: see History and Spend.
//
// Time is measured in any one unit throughout, such as weeks. The package holds
// no state, imports the standard library and models/forecast/simplex, and its
// values are safe for concurrent use. Start reading at bgnbd.go.
package customer
