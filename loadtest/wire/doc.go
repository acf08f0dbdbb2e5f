// Package wire is clients for load, of gRPC and of REST: they write calls onto
// connections as bytes that were encoded before and tell of each answer once,
// without a goroutine a call. They share their processor with the server they
// load, so what they do not do is the point: no retries, no compression, no TLS, no
// interceptors, no messages but those that are asked for.
//
// It imports the frames and header compression of golang.org/x/net and the
// status codes of grpc. Start reading at Client; HTTP is
// for REST.
package wire
