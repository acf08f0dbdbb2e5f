package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// reloadEvery is how often a handshake looks whether the files have changed.
const reloadEvery = time.Second

// TLS is the configuration of a listener for TLS 1.2 and up. A certificate that
// changes on disk is taken at the next handshake; one that cannot be read is
// reported and the one before stays. clientCA, where given, verifies the
// certificates of callers that show one.
func TLS(cert, key, clientCA string, log *slog.Logger) (*tls.Config, error) {
	r := &reloader{cert: cert, key: key, log: log}
	if err := r.load(time.Now()); err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: r.certificate}
	if clientCA == "" {
		return c, nil
	}
	b, err := os.ReadFile(clientCA) // #nosec G304 -- named by who runs the server
	if err != nil {
		return nil, err
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if !c.ClientCAs.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s has no certificate in PEM", clientCA)
	}
	return c, nil
}

type reloader struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   [2]time.Time
	checked time.Time
}

func (r *reloader) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.checked) >= reloadEvery {
		if err := r.load(now); err != nil {
			r.log.Error("the certificate could not be read anew; the one before is used", "file", r.cert, "error", err)
		}
	}
	return r.pair, nil
}

// load reads the files if they have changed. The caller holds mu.
func (r *reloader) load(now time.Time) error {
	r.checked = now
	var stamp [2]time.Time
	for i, path := range []string{r.cert, r.key} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		stamp[i] = info.ModTime()
	}
	if r.pair != nil && stamp == r.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(r.cert, r.key)
	if err != nil {
		return errors.Join(errors.New("certificate and key"), err)
	}
	r.pair, r.stamp = &pair, stamp
	return nil
}
