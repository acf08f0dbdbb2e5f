// Package api is the RPCs: one file each, from the request on the wire to the
// domain and back. It validates, converts and maps errors; it decides nothing.
//
// Start reading at errors.go, the one map from errors to status codes, then at
// any RPC.
package api
