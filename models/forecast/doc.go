// Package forecast predicts series: what will sell, and how sure that is.
//
// Auto takes many series at once. It runs every method that fits them from
// several earlier origins inside the training part, chooses a combination by
// what it would have scored there, and takes the 80 % and 95 % intervals from
// the errors it would have made. The methods are small functions, one family a
// file: simple.go (naive, seasonal naive, drift), smooth.go (exponential
// smoothing), holtwinters.go, theta.go, intermittent.go (Croston and variants)
// and multiseason.go (several seasons at once).
//
// Results are deterministic, whatever the number of goroutines. The package
// imports the standard library and models/forecast/simplex, and does no I/O
// beyond the io.Readers given to its readers. Start reading at auto.go.
package forecast
