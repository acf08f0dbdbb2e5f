package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Traces is where spans go. Shutdown sends what waits.
type Traces struct {
	trace.TracerProvider
	Shutdown func(context.Context) error
}

// NewTraces returns a provider that sends a share of the traces to endpoint, a
// URL such as http://127.0.0.1:4317, by OTLP over gRPC. Without an endpoint it
// records nothing. The share is of traces that begin here: a caller's decision
// holds for its own.
func NewTraces(ctx context.Context, endpoint string, share float64, version string) (Traces, error) {
	if endpoint == "" {
		return Traces{noop.NewTracerProvider(), func(context.Context) error { return nil }}, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	if err != nil {
		return Traces{}, fmt.Errorf("traces to %s: %w", endpoint, err)
	}
	p := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(share))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "attune-server"), attribute.String("service.version", version),
		)),
	)
	return Traces{p, p.Shutdown}, nil
}
