package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// certificate is a key and certificate of this machine's own, as files.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "attune"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	secret, err := x509.MarshalECPrivateKey(private)
	must(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	must(t, os.WriteFile(cert, public, 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(public)
	return cert, key, pool
}

// With a certificate, gRPC and REST speak TLS and nothing else.
func TestTLS(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	cfg := config(dir)
	var pool *x509.CertPool
	cfg.TLSCert, cfg.TLSKey, pool = certificate(t)
	c := start(t, cfg)
	trust := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	conn, err := grpc.NewClient(c.GRPC(), grpc.WithTransportCredentials(credentials.NewTLS(trust)))
	must(t, err)
	defer conn.Close()
	_, err = attunev1.NewRecommendationServiceClient(conn).Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(4)})
	must(t, err)
	if _, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(4)}); err == nil {
		t.Fatal("got an answer without TLS")
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
	defer web.CloseIdleConnections()
	resp, err := web.Post("https://"+c.HTTP()+"/v1/shops/default:recommend", "application/json", strings.NewReader(`{"user":"shopper-04"}`))
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("REST by TLS: got %s", resp.Status)
	}
}

// spans takes traces in and counts their spans by name.
type spans struct {
	collector.UnimplementedTraceServiceServer
	recommend atomic.Int64
}

func (s *spans) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				if span.GetName() == "attune.v1.RecommendationService/Recommend" {
					s.recommend.Add(1)
				}
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// Traces go where they are told to, the last of them at the stop.
func TestTraces(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s, g := &spans{}, grpc.NewServer()
	collector.RegisterTraceServiceServer(g, s)
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	cfg := config(dir)
	cfg.OTLP, cfg.Traced = "http://"+l.Addr().String(), 1
	c := start(t, cfg)
	for range 3 {
		c.ask(t, &attunev1.RecommendRequest{User: somebody(4)})
	}
	c.stop()
	g.Stop()
	must(t, <-done)
	if got := s.recommend.Load(); got != 3 {
		t.Fatalf("got %d spans of Recommend, want 3", got)
	}
}
