package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/api"
)

// Flags are how the server is told of a cluster and its topics. The tags are
// kong's.
type Flags struct {
	Brokers      []string `help:"Brokers of a Kafka cluster to begin with; none: no Kafka." placeholder:"HOST:PORT"`
	Topics       []string `help:"What topics hold, and of which shop: clicks=default/events, catalogue=default/items, people=default/users." placeholder:"TOPIC=SHOP/KIND"`
	Group        string   `help:"Consumer group: servers of one group share the partitions. Each store needs its own." default:"attune" placeholder:"NAME"`
	Start        string   `help:"Where the group begins in a partition that it has not read yet: earliest, latest, or a time such as 2026-11-01T00:00:00Z." default:"earliest" placeholder:"WHERE"`
	TLS          bool     `name:"tls" help:"Reach the brokers by TLS."`
	CA           string   `name:"ca" help:"Authorities that the brokers' certificates are checked by, PEM, where they are not the system's; means TLS." type:"path" placeholder:"FILE"`
	Cert         string   `help:"Certificate to show the brokers, PEM, read anew for each connection; means TLS." type:"path" placeholder:"FILE"`
	Key          string   `help:"Its private key, PEM." type:"path" placeholder:"FILE"`
	SASL         string   `name:"sasl" help:"How to log in: none, plain, scram-sha-256 or scram-sha-512." enum:"none,plain,scram-sha-256,scram-sha-512" default:"none"`
	Username     string   `help:"User to log in as." placeholder:"NAME"`
	Password     string   `help:"Password; better given as ATTUNE_KAFKA_PASSWORD, or in a file." placeholder:"SECRET"`
	PasswordFile string   `help:"File that holds the password, read anew for each connection." type:"path" placeholder:"FILE"`
}

// Target is what a topic holds.
type Target struct {
	Topic string
	Shop  features.ShopID
	What  api.What
}

// Configured reports whether there is a cluster.
func (f *Flags) Configured() bool { return len(f.Brokers) > 0 }

var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// Check reports the first flag that cannot work, as "name: what was expected".
func (f *Flags) Check() error {
	if !f.Configured() {
		if len(f.Topics) > 0 {
			return errors.New("brokers: expected HOST:PORT for the topics of --kafka-topics: got none")
		}
		return nil
	}
	for _, b := range f.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			return fmt.Errorf("brokers: expected HOST:PORT, such as kafka-1:9092: got %q", b)
		}
	}
	if _, err := f.targets(); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	if f.Group == "" || len(f.Group) > 249 {
		return fmt.Errorf("group: expected a name of 1 to 249 characters: got %d", len(f.Group))
	}
	if _, err := f.start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if _, err := f.certificates(); err != nil {
		return err
	}
	return f.login()
}

// targets are what the topics hold, in the order given.
func (f *Flags) targets() ([]Target, error) {
	if len(f.Topics) == 0 {
		return nil, errors.New("expected what to collect, such as clicks=default/events: got none")
	}
	var all []Target
	for _, rule := range f.Topics {
		topic, to, ok := strings.Cut(rule, "=")
		shop, kind, slash := strings.Cut(to, "/")
		t := Target{Topic: topic, Shop: features.ShopID(shop), What: api.What(kind)}
		switch {
		case !ok || !slash || !topicName.MatchString(topic):
			return nil, fmt.Errorf("expected TOPIC=SHOP/KIND, such as clicks=default/events: got %q", rule)
		case t.Shop.Validate() != nil:
			return nil, fmt.Errorf("%q: expected a shop of a-z, 0-9 and -: got %q", rule, shop)
		case t.What != api.EventRows && t.What != api.ItemRows && t.What != api.UserRows:
			return nil, fmt.Errorf("%q: expected events, items or users: got %q", rule, kind)
		case slices.ContainsFunc(all, func(o Target) bool { return o.Topic == topic }):
			return nil, fmt.Errorf("topic %s stands there twice: expected one shop and kind for each", topic)
		}
		all = append(all, t)
	}
	return all, nil
}

// start is the time to begin at; the zero time is the earliest record there is,
// latest the end.
func (f *Flags) start() (at time.Time, err error) {
	switch f.Start {
	case "earliest", "":
		return time.Time{}, nil
	case "latest":
		return latest, nil
	}
	if at, err = time.Parse(time.RFC3339, f.Start); err != nil {
		return at, fmt.Errorf("expected earliest, latest or a time such as 2026-11-01T00:00:00Z: got %q", f.Start)
	}
	return at, nil
}

var latest = time.Unix(1<<40, 0)

// certificates is how brokers are reached by TLS; nil is plain text.
func (f *Flags) certificates() (*tls.Config, error) {
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("cert, --kafka-key: expected both or neither")
	}
	if !f.TLS && f.CA == "" && f.Cert == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: expected certificates in PEM: %s has none", f.CA)
		}
	}
	if f.Cert != "" {
		read := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
			return &pair, err
		}
		if _, err := read(); err != nil {
			return nil, fmt.Errorf("cert, --kafka-key: %w", err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return read() }
	}
	return c, nil
}

// login reports what is wrong with how to log in.
func (f *Flags) login() error {
	if f.SASL == "none" || f.SASL == "" {
		if f.Username != "" || f.Password != "" || f.PasswordFile != "" {
			return errors.New("sasl: expected plain, scram-sha-256 or scram-sha-512 with a username or password: got none")
		}
		return nil
	}
	if f.Username == "" {
		return fmt.Errorf("username: expected a name for --kafka-sasl %s: got none", f.SASL)
	}
	if (f.Password == "") == (f.PasswordFile == "") {
		return fmt.Errorf("password, --kafka-password-file: expected one of them for --kafka-sasl %s", f.SASL)
	}
	if _, err := f.password(); err != nil {
		return fmt.Errorf("password-file: %w", err)
	}
	if f.SASL == "plain" && !f.TLS && f.CA == "" && f.Cert == "" && !f.near() {
		return errors.New("sasl: plain would send the password readable by others: give --kafka-tls, or use scram-sha-512")
	}
	return nil
}

func (f *Flags) password() (string, error) {
	if f.PasswordFile == "" {
		return f.Password, nil
	}
	b, err := os.ReadFile(f.PasswordFile)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty: expected the password", f.PasswordFile)
	}
	return secret, nil
}

// near reports that all brokers are on this machine.
func (f *Flags) near() bool {
	for _, b := range f.Brokers {
		host, _, _ := net.SplitHostPort(b)
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}
