// Package gateway is the REST form of the API: every RPC as HTTP and JSON, its
// description at /openapi.json and a page for people at /docs. It calls the
// services of the same process as a gRPC client would, so that a call by REST
// passes the same chain as any other.
//
// Start reading at New.
package gateway

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/server/browser"
	"github.com/attune-rec/attune/server/guard"
	"github.com/attune-rec/attune/server/rpc"
	"github.com/attune-rec/attune/server/telemetry"
)

// Options say what a gateway lets in.
type Options struct {
	Memory  *guard.Memory                            // what requests may hold; needed
	MaxBody int64                                    // bytes of a request; 0: 8 MiB
	Origins []string                                 // that browsers may call from; empty: none but the server's own
	Peer    func(*http.Request) (name, value string) // metadata that says who calls by certificate; nil or "": nobody
}

// New returns the handler of all REST calls, made over conn.
func New(ctx context.Context, conn grpc.ClientConnInterface, o Options) (http.Handler, error) {
	if o.MaxBody <= 0 {
		o.MaxBody = 8 << 20
	}
	d, err := describe()
	if err != nil {
		return nil, err
	}
	description, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("gateway: description of the API: %w", err)
	}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{
			MarshalOptions: protojson.MarshalOptions{UseProtoNames: true},
		}}),
		runtime.WithMetadata(func(_ context.Context, r *http.Request) metadata.MD {
			md := metadata.Pairs(rpc.RequestIDHeader, r.Header.Get(rpc.RequestIDHeader))
			if o.Peer != nil {
				if name, value := o.Peer(r); name != "" {
					md.Set(name, value)
				}
			}
			return md
		}),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(fail),
		runtime.WithRoutingErrorHandler(lost(routesOf(d))),
	)
	if err := errors.Join(
		attunev1.RegisterEventServiceHandlerClient(ctx, mux, attunev1.NewEventServiceClient(conn)),
		attunev1.RegisterCatalogServiceHandlerClient(ctx, mux, attunev1.NewCatalogServiceClient(conn)),
		attunev1.RegisterUserServiceHandlerClient(ctx, mux, attunev1.NewUserServiceClient(conn)),
		attunev1.RegisterReleaseServiceHandlerClient(ctx, mux, attunev1.NewReleaseServiceClient(conn)),
		attunev1.RegisterRuleServiceHandlerClient(ctx, mux, attunev1.NewRuleServiceClient(conn)),
		attunev1.RegisterPrivacyServiceHandlerClient(ctx, mux, attunev1.NewPrivacyServiceClient(conn)),
		attunev1.RegisterRiskServiceHandlerClient(ctx, mux, attunev1.NewRiskServiceClient(conn)),
		attunev1.RegisterProfileServiceHandlerClient(ctx, mux, attunev1.NewProfileServiceClient(conn)),
		attunev1.RegisterSegmentServiceHandlerClient(ctx, mux, attunev1.NewSegmentServiceClient(conn)),
		attunev1.RegisterAudienceServiceHandlerClient(ctx, mux, attunev1.NewAudienceServiceClient(conn)),
		// The last is asked first: items/{item}:similar before items/{id}.
		attunev1.RegisterRecommendationServiceHandlerClient(ctx, mux, attunev1.NewRecommendationServiceClient(conn)),
	); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	pages := http.NewServeMux()
	pages.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(description)
	})
	pages.HandleFunc("GET /docs", docs)
	pages.Handle("GET /attune.js", browser.Handler())
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/docs", http.StatusFound) })
	pages.Handle("/", bounded(mux, o))
	return identify(cross(pages, o.Origins)), nil
}

//go:embed docs.html
var docsPage []byte

func docs(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'")
	_, _ = w.Write(docsPage)
}

// identify gives a call an id that the answer names, whatever becomes of it.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(rpc.RequestIDHeader)
		if !rpc.Plain(id) {
			id = telemetry.NewRequestID()
			r.Header.Set(rpc.RequestIDHeader, id)
		}
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// cross answers browsers from the origins that were named, and no others.
func cross(next http.Handler, origins []string) http.Handler {
	allowed := map[string]bool{}
	for _, o := range origins {
		allowed[o] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin != "" && (allowed[origin] || allowed["*"]) {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", origin)
			h.Add("Vary", "Origin")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id")
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// fail writes an error as its status: code, message and details. What was wrong
// with the body goes before what was made of it.
func fail(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if b, ok := r.Body.(*body); ok && b.err != nil {
		err = b.err
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) || errors.Is(err, errParts) {
		err = &runtime.HTTPStatusError{
			HTTPStatus: http.StatusRequestEntityTooLarge,
			Err:        status.Errorf(codes.InvalidArgument, "request is too large: send it in parts"),
		}
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, err)
}

// lost answers a path or method that is none of ours.
func lost(known routes) runtime.RoutingErrorHandlerFunc {
	return func(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
		err := status.Errorf(codes.NotFound, "no call %s %s: /docs lists what there is", r.Method, r.URL.Path)
		switch code {
		case http.StatusMethodNotAllowed:
			err = status.Errorf(codes.Unimplemented, "%s does not take %s: /docs lists what there is", r.URL.Path, r.Method)
			w.Header().Set("Allow", known.allow(r))
		case http.StatusBadRequest:
			err = status.Errorf(codes.InvalidArgument, "%s is not a path that can be read: /docs lists what there is", r.URL.Path)
		}
		runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: err})
	}
}
