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

	"github.com/attune-rec/attune/server/app"
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
	for _, address := range []string{c.GRPC(), c.HTTP()} {
		for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			// #nosec G402 -- the old ones are tried to see them refused
			shake, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2"}})
			if (err == nil) != want {
				t.Errorf("%s at %s: got %v, want it taken: %t", tls.VersionName(version), address, err, want)
			}
			if err == nil {
				must(t, shake.Close())
			}
		}
	}
	plain, err := http.Get("http://" + c.HTTP() + "/openapi.json")
	must(t, err) // Go's server says so in plain text
	must(t, plain.Body.Close())
	if plain.StatusCode != http.StatusBadRequest {
		t.Errorf("REST without TLS: got %s, want 400", plain.Status)
	}
}

// A server that other machines would reach does not start without TLS, nor, with
// it, as long as nothing says who may call.
func TestOpenServerDoesNotStart(t *testing.T) {
	dir := stock(t)
	cfg := config(dir)
	cfg.GRPC = "0.0.0.0:0"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "--tls-cert") {
		t.Errorf("without TLS: got %v, want what to give", err)
	}
	cfg.TLSCert, cfg.TLSKey, _ = certificate(t)
	must(t, cfg.Validate())
	s, err := app.Build(context.Background(), cfg, quiet(), "test")
	if err == nil || !strings.Contains(err.Error(), "server keys create") {
		t.Errorf("with TLS and without callers: got server %v and %v, want what to do", s, err)
	}
	cfg.GRPC = "127.0.0.1:0"
	start(t, cfg) // the same on this machine alone
}

// What is for operators is on their listener alone, whatever is asked of the
// other, with a key or without.
func TestOperatorsHaveTheirOwnListener(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	key := keyFor(t, dir, "admin")
	c := start(t, config(dir))
	get := func(url, key string) int {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
		must(t, err)
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		must(t, resp.Body.Close())
		return resp.StatusCode
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/goroutine"} {
		if got := get("http://"+c.Admin()+path, ""); got != http.StatusOK {
			t.Errorf("%s for operators: got %d, want 200: the test is blind", path, got)
		}
		for _, k := range []string{"", key} {
			if got := get("http://"+c.HTTP()+path, k); got != http.StatusNotFound && got != http.StatusUnauthorized {
				t.Errorf("%s for callers: got %d, want 404", path, got)
			}
		}
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
