package milvus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/models/vector/milvus/milvustest"
	"github.com/attune-rec/attune/models/vectortest"
)

// certificate writes one for localhost and returns the roots that trust it.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, b := range map[string][]byte{cert: public, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(public)
	return cert, key, roots
}

func TestMilvusWithPasswordAndTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	s := milvustest.Start(t, "authorization_enabled=true", "tls_mode=1", "server_pem_path="+cert, "server_key_path="+key)
	good := milvus.Config{Address: s.Address, Username: "root", Password: "Milvus", TLS: &tls.Config{RootCAs: roots}, Search: 10 * time.Second}
	cl := connect(t, good)
	vecs := vectortest.Vectors(200, 4, 1)
	x := put(t, cl, name, milvus.Rows{Vectors: vecs, Dim: 4})
	if hits, err := x.Search(context.Background(), vecs[:4], 5, models.Where{}, nil); err != nil || len(hits) != 5 {
		t.Errorf("got %v, %v, want 5 hits", hits, err)
	}
	for what, change := range map[string]func(c *milvus.Config){
		"wrong password": func(c *milvus.Config) { c.Password = "wrong" },
		"no password":    func(c *milvus.Config) { c.Username, c.Password = "", "" },
		"other roots":    func(c *milvus.Config) { c.TLS = &tls.Config{RootCAs: x509.NewCertPool()} },
		"no TLS":         func(c *milvus.Config) { c.TLS = nil },
	} {
		c := good
		c.Dial = 3 * time.Second
		change(&c)
		if _, err := milvus.Connect(context.Background(), c); !errors.Is(err, milvus.ErrMilvus) {
			t.Errorf("%s: got %v, want ErrMilvus", what, err)
		}
	}
}
