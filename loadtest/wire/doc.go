// Package wire is a gRPC client for load: it writes unary calls onto HTTP/2
// connections as bytes that were encoded before and tells of each answer once,
// without a goroutine a call. It shares its processor with the server it loads,
// so what it does not do is the point: no retries, no compression, no TLS, no
// interceptors, no messages but those that are asked for.
//
// It imports the frames and header compression of golang.org/x/net and the
// status codes of grpc. Start reading at Client.
package wire
