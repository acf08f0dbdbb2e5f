package milvus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"
)

// Flags are how a program is told of a cluster: the trainer, which fills it,
// and the server, which searches it, take the same ones. The tags are kong's;
// both programs read ATTUNE_MILVUS_* too, so that a password need not stand on a
// command line.
type Flags struct {
	Address     string        `help:"Milvus, for the vectors of large models; empty: none." placeholder:"HOST:PORT"`
	From        int           `help:"Models of so many items are searched in Milvus; smaller ones in the process." default:"500000"`
	Username    string        `help:"User of Milvus." placeholder:"NAME"`
	Password    string        `help:"Password of Milvus; better given as ATTUNE_MILVUS_PASSWORD." placeholder:"SECRET"`
	Database    string        `help:"Database of Milvus; empty: the default one." placeholder:"NAME"`
	TLS         bool          `name:"tls" help:"Reach Milvus by TLS."`
	CA          string        `name:"ca" help:"Authorities that Milvus's certificate is checked by, PEM, where they are not the system's; means TLS." type:"path" placeholder:"FILE"`
	Consistency string        `help:"Consistency of searches: bounded, eventually, session or strong." enum:"bounded,eventually,session,strong" default:"bounded"`
	Search      time.Duration `help:"A search in Milvus may take so long, and less when the answer's time is short." default:"100ms"`
	Wait        time.Duration `help:"A release waits so long for its collection to be searchable before it is refused." default:"30s"`
	Replicas    int           `help:"Copies of a collection that Milvus loads." default:"1"`
}

// Configured reports whether there is a cluster.
func (f *Flags) Configured() bool { return f.Address != "" }

// Check reports ErrConfig for flags that cannot work together.
func (f *Flags) Check() error {
	_, err := f.Config()
	return err
}

// Config is what the flags say. It reports ErrConfig.
func (f *Flags) Config() (Config, error) {
	c := Config{
		Address: f.Address, Username: f.Username, Password: f.Password, Database: f.Database,
		Dial: 3 * time.Second, Consistency: f.Consistency, Search: f.Search, Ready: f.Wait, Replicas: f.Replicas,
	}
	if !f.Configured() {
		return c, nil
	}
	if f.From < 0 {
		return c, fmt.Errorf("%w: from %d items: expected 0 or more", ErrConfig, f.From)
	}
	if f.TLS || f.CA != "" {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return c, fmt.Errorf("%w: authorities: %w", ErrConfig, err)
		}
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return c, fmt.Errorf("%w: %s: %w", ErrConfig, f.CA, errors.New("expected certificates in PEM"))
		}
	}
	checked := c
	return c, checked.defaults()
}
