package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/app"
	"github.com/attune-rec/attune/server/auth"
)

// oneKey is a source with one key that a test changes.
type oneKey struct{ key store.APIKey }

func (o *oneKey) Any(context.Context) (bool, error) { return true, nil }

func (o *oneKey) Get(_ context.Context, id string) (store.APIKey, error) {
	if id != o.key.ID {
		return store.APIKey{}, store.ErrNotFound
	}
	return o.key, nil
}

func TestRateAndSizeByKey(t *testing.T) {
	policies, err := auth.Methods()
	must(t, err)
	text, id, hash, err := auth.NewKey()
	must(t, err)
	now := time.Unix(1_800_000_000, 0)
	source := &oneKey{store.APIKey{ID: id, Hash: hash, Roles: []string{"frontend"}, Shops: []features.ShopID{"default"}, Rate: 2, MaxBytes: 10}}
	g, err := auth.NewGuard(auth.Options{Policies: policies, Keys: source, Clock: func() time.Time { return now }})
	must(t, err)
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", "Bearer "+text))
	admit := func() error {
		_, err := g.Admit(ctx, attunev1.RecommendationService_Recommend_FullMethodName)
		return err
	}
	must(t, admit())
	must(t, admit())
	err = admit()
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("third call of two a second: got %v, want ResourceExhausted", err)
	}
	var wait time.Duration
	reason := ""
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.RetryInfo:
			wait = d.GetRetryDelay().AsDuration()
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		}
	}
	if wait != 500*time.Millisecond || reason != "RATE_LIMITED" {
		t.Errorf("got wait %s and reason %q, want 500ms and RATE_LIMITED", wait, reason)
	}
	now = now.Add(wait)
	c, err := g.Admit(ctx, attunev1.RecommendationService_Recommend_FullMethodName)
	must(t, err)
	if err := g.Check(c, &attunev1.RecommendRequest{User: "a user whose id is long"}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("large request: got %v, want ResourceExhausted", err)
	}
	must(t, g.Check(c, &attunev1.RecommendRequest{User: "x"}))

	source.key.Revoked = now
	now = now.Add(time.Second)
	if err := admit(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a second after it was revoked: got %v, want Unauthenticated", err)
	}
}

func TestKeysParse(t *testing.T) {
	text, id, hash, err := auth.NewKey()
	must(t, err)
	gotID, gotHash, err := auth.ParseKey(text)
	must(t, err)
	if gotID != id || string(gotHash) != string(hash) || strings.Contains(text, string(hash)) {
		t.Fatalf("got id %s of %s", gotID, text)
	}
	for _, s := range []string{"", "attune_", text[:len(text)-1], text + "0", strings.ToUpper(text), "attune_zzzzzzzzzzzzzzzz_" + strings.Repeat("0", 64)} {
		if _, _, err := auth.ParseKey(s); err == nil {
			t.Errorf("%q was taken for a key", s)
		}
	}
}

// authority makes certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool(), dir: t.TempDir()}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	a.pool.AddCert(a.cert)
	must(t, os.WriteFile(filepath.Join(a.dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return a
}

// issue writes a certificate for this machine and its key.
func (a *authority) issue(t *testing.T, name string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, &private.PublicKey, a.key)
	must(t, err)
	secret, err := x509.MarshalECPrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

// The holder of a certificate may do what the server was told, by gRPC and by
// REST, and nobody can say that they hold one.
func TestCertificates(t *testing.T) {
	a := newAuthority(t)
	s, _ := serve(t, nil, func(c *app.Config) {
		c.TLSCert, c.TLSKey = a.issue(t, "server", 2)
		c.ClientCA, c.Clients = filepath.Join(a.dir, "ca.pem"), []string{"shopfront=frontend+analyst@one"}
	})
	for _, c := range []struct{ name, shop, want string }{
		{"shopfront", "one", "ok"}, {"shopfront", "two", "403"}, {"stranger", "one", "401"}, {"", "one", "401"},
	} {
		trust := &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12}
		if c.name != "" {
			pair, err := tls.LoadX509KeyPair(a.issue(t, c.name, 3))
			must(t, err)
			trust.Certificates = []tls.Certificate{pair}
		}
		conn, err := grpc.NewClient(s.GRPC(), grpc.WithTransportCredentials(credentials.NewTLS(trust)))
		must(t, err)
		_, err = attunev1.NewReleaseServiceClient(conn).ListReleases(context.Background(), &attunev1.ListReleasesRequest{Shop: c.shop})
		if got := codeName(status.Code(err)); got != c.want {
			t.Errorf("%+v by gRPC: got %v", c, err)
		}
		must(t, conn.Close())
		web := &http.Client{Transport: &http.Transport{TLSClientConfig: trust.Clone()}}
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+s.HTTP()+"/v1/shops/"+c.shop+"/releases", nil)
		must(t, err)
		r.Header.Set("Grpc-Metadata-"+auth.PeerHeader, "secret certificate")
		resp, err := web.Do(r)
		must(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		web.CloseIdleConnections()
		if want := map[string]int{"ok": 200, "403": 403, "401": 401}[c.want]; resp.StatusCode != want {
			t.Errorf("%+v by REST: got %s", c, resp.Status)
		}
	}
}

func TestCertificateIsReadAnew(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue(t, "server", 2)
	c, err := auth.TLS(cert, key, "", nil)
	must(t, err)
	if c.MinVersion != tls.VersionTLS12 {
		t.Fatalf("got least version %x, want TLS 1.2", c.MinVersion)
	}
	a.issue(t, "server", 77)
	later := time.Now().Add(time.Minute)
	must(t, os.Chtimes(cert, later, later))
	time.Sleep(1100 * time.Millisecond)
	pair, err := c.GetCertificate(nil)
	must(t, err)
	if pair.Leaf.SerialNumber.Int64() != 77 {
		t.Fatalf("got certificate %v, want the new one", pair.Leaf.SerialNumber)
	}
}

func TestClientsParse(t *testing.T) {
	c, err := auth.ParseClient("spiffe://shop/pay=ingest+admin@a+*")
	must(t, err)
	if c.Name != "spiffe://shop/pay" || len(c.Roles) != 2 || len(c.Shops) != 2 {
		t.Fatalf("got %+v", c)
	}
	for _, s := range []string{"", "=admin", "a=", "a=chef", "a=admin@Bad Shop", "a=admin@"} {
		if c, err := auth.ParseClient(s); err == nil {
			t.Errorf("%q: got %+v, want an error", s, c)
		}
	}
}
