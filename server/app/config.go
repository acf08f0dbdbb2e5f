// Package app is the server put together: it builds every part from one
// configuration, runs them, and stops them in order. It is what main runs and
// what the end-to-end tests run, in one process.
//
// Start reading at Config, then at Build.
package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/server/auth"
	"github.com/attune-rec/attune/server/kafka"
)

// Config is the server's configuration: flags, ATTUNE_* variables and a YAML
// file, in this order of precedence. Its defaults work.
type Config struct {
	Data     string `help:"Data directory; it is made when it is not there." default:"data" placeholder:"DIR"`
	Releases string `help:"Releases: a folder or a bucket's URL. Default: releases in the data directory." placeholder:"WHERE"`

	Milvus milvus.Flags `embed:"" prefix:"milvus-"`
	Kafka  kafka.Flags  `embed:"" prefix:"kafka-"`
	Care   `embed:""`
	Trust  `embed:""`

	GRPC  string `name:"grpc" help:"Address of gRPC." default:"127.0.0.1:9090" placeholder:"HOST:PORT"`
	HTTP  string `name:"http" help:"Address of REST, /openapi.json and /docs." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Admin string `help:"Address of metrics, profiles and /healthz; empty: none." default:"127.0.0.1:9100" placeholder:"HOST:PORT"`

	TLSCert  string   `name:"tls-cert" help:"Certificate, PEM." type:"path" placeholder:"FILE"`
	TLSKey   string   `name:"tls-key" help:"Its private key, PEM." type:"path" placeholder:"FILE"`
	Insecure bool     `help:"Listen beyond this machine without TLS."`
	Origins  []string `name:"cors-origin" help:"Origins that browsers may call from; none by default." placeholder:"ORIGIN"`

	RequireAuth  bool     `help:"Refuse calls without a key, token or certificate even before the first key is made."`
	KeyRate      float64  `help:"Calls a second of a key, token or certificate that has no rate of its own; 0: no limit." default:"0"`
	OIDCIssuer   string   `name:"oidc-issuer" help:"Issuer of tokens that are taken; its keys are found by OIDC discovery." placeholder:"URL"`
	OIDCAudience string   `name:"oidc-audience" help:"Audience that tokens must be for." placeholder:"NAME"`
	OIDCRoles    string   `name:"oidc-roles" help:"Claim of a token's roles; dots lead into objects." default:"roles" placeholder:"CLAIM"`
	OIDCShops    string   `name:"oidc-shops" help:"Claim of a token's shops; * is every shop." default:"shops" placeholder:"CLAIM"`
	ClientCA     string   `name:"client-ca" help:"Authorities of the certificates of callers, PEM." type:"path" placeholder:"FILE"`
	Clients      []string `name:"client" help:"What the holder of a certificate may do." placeholder:"NAME=ROLE+ROLE@SHOP+SHOP"`

	LogLevel  slog.Level `help:"Least level of log lines: debug, info, warn or error." default:"info"`
	LogFormat string     `help:"Form of log lines: text or json." enum:"text,json" default:"text"`
	OTLP      string     `name:"otlp-endpoint" help:"Where traces go by OTLP over gRPC; empty: nowhere." placeholder:"URL"`
	Traced    float64    `name:"trace-share" help:"Share of requests that are traced, 0 to 1." default:"0.01"`

	Follow        time.Duration `help:"Time between two looks at what is to be served." default:"2s"`
	IdleShop      time.Duration `help:"Unload a shop that nobody asked for so long; 0: never." default:"0"`
	Shoppers      int           `help:"Shoppers whose state is kept in memory." default:"100000"`
	Profiles      int           `help:"Shoppers of a shop whose profile is kept in memory; those of others are made when they are asked for." default:"200000"`
	StoreWait     time.Duration `help:"A shopper whose history takes longer to read is answered as nobody, degraded." default:"500ms"`
	AnswerIn      time.Duration `help:"Requests are turned away rather than answered later than about this: those of a burst may wait five times as long, those of a queue that stands an eighth of it; 0: none is turned away." default:"20ms"`
	Admit         int           `help:"Answers under way at most, those that wait to begin included; 0: 128 a core." default:"0"`
	Queue         int           `name:"served-queue" help:"Records of answers that may wait to be written." default:"65536"`
	EventAge      time.Duration `help:"Older events are refused." default:"9600h"`
	ClockAhead    time.Duration `help:"A client's clock may be ahead by so much." default:"5m"`
	MaxMessage    int           `help:"Bytes of a request at most." default:"8388608"`
	MessageMemory int64         `help:"Bytes that requests may hold before they are understood; 0: an eighth of GOMEMLIMIT, 64 MiB without one, of each kind." default:"0"`
	HeapFloor     int64         `help:"Garbage is collected once the heap has so many bytes beyond what is in use, and seldom before: a small shop's would be collected many times a second. -1: an eighth of the memory that the machine or the process's group has, from 64 MiB to 1 GiB; 0: as Go does. GOGC or GOMEMLIMIT in the environment go first." default:"-1"`
	Drain         time.Duration `help:"Time at shutdown from health's no to closing the doors; part of --grace." default:"1s"`
	Grace         time.Duration `help:"Time that running requests have to end at shutdown." default:"8s"`
	PageSecret    string        `help:"Secret of page tokens, at least 16 characters, shared by replicas. Default: a random one kept in the data directory." placeholder:"SECRET"`
}

// Validate reports the first thing that cannot work. kong calls it.
func (c *Config) Validate() error {
	if c.Data == "" {
		return fmt.Errorf("--data: expected a directory: got nothing")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("--tls-cert and --tls-key belong together: give both or neither")
	}
	for _, a := range []struct{ flag, address string }{{"grpc", c.GRPC}, {"http", c.HTTP}, {"admin", c.Admin}} {
		if a.address == "" && a.flag == "admin" {
			continue
		}
		host, _, err := net.SplitHostPort(a.address)
		if err != nil {
			return fmt.Errorf("--%s: expected HOST:PORT, such as 127.0.0.1:9090: got %q", a.flag, a.address)
		}
		safe := c.TLSCert != "" && a.flag != "admin"
		if !loopback(host) && !safe && !c.Insecure {
			return fmt.Errorf("--%s %s would be open to other machines without TLS: give --tls-cert and --tls-key, listen on 127.0.0.1, or give --insecure if something else protects it", a.flag, a.address)
		}
	}
	if _, err := c.who(); err != nil {
		return err
	}
	if err := c.Milvus.Check(); err != nil {
		return fmt.Errorf("--milvus-...: %w", err)
	}
	if err := c.Kafka.Check(); err != nil {
		return fmt.Errorf("--kafka-%w", err)
	}
	if wrong := c.Trust.wrong(); wrong != "" {
		return fmt.Errorf("--%s", wrong)
	}
	if wrong := c.Care.wrong(); wrong != "" {
		return fmt.Errorf("--%s", wrong)
	}
	for _, n := range []struct {
		flag string
		bad  bool
	}{
		{"key-rate: expected 0 or more", c.KeyRate < 0},
		{"trace-share: expected 0 to 1", c.Traced < 0 || c.Traced > 1},
		{"follow: expected at least 10ms", c.Follow < 10*time.Millisecond},
		{"idle-shop: expected 0 or more", c.IdleShop < 0},
		{"shoppers: expected at least 1", c.Shoppers < 1},
		{"profiles: expected 0 or more", c.Profiles < 0},
		{"store-wait: expected more than 0", c.StoreWait <= 0},
		{"answer-in: expected 0 or more", c.AnswerIn < 0},
		{"admit: expected 0 or more", c.Admit < 0},
		{"served-queue: expected at least 1", c.Queue < 1},
		{"event-age: expected more than 0", c.EventAge <= 0},
		{"clock-ahead: expected more than 0", c.ClockAhead <= 0},
		{"max-message: expected at least 1024", c.MaxMessage < 1024},
		{"message-memory: expected 0, or at least twice --max-message", c.MessageMemory != 0 && c.MessageMemory < 2*int64(c.MaxMessage)},
		{"heap-floor: expected -1, 0 or more", c.HeapFloor < -1},
		{"drain: expected 0 or more", c.Drain < 0},
		{"grace: expected more than 0, and more than --drain", c.Grace <= c.Drain},
		{"page-secret: expected at least 16 characters", c.PageSecret != "" && len(c.PageSecret) < 16},
	} {
		if n.bad {
			return fmt.Errorf("--%s", n.flag)
		}
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (c *Config) releases() string {
	if c.Releases != "" {
		return c.Releases
	}
	return filepath.Join(c.Data, "releases")
}

// who says who may call, save for keys and policies.
func (c *Config) who() (o auth.Options, err error) {
	o.Required, o.Rate = c.RequireAuth, c.KeyRate
	if c.OIDCIssuer != "" || c.OIDCAudience != "" {
		o.OIDC = &auth.OIDC{Issuer: c.OIDCIssuer, Audience: c.OIDCAudience, Roles: c.OIDCRoles, Shops: c.OIDCShops}
		if err := o.OIDC.Validate(); err != nil {
			return o, fmt.Errorf("--oidc-issuer, --oidc-audience: %w", err)
		}
	}
	if (c.ClientCA == "") != (len(c.Clients) == 0) || c.ClientCA != "" && c.TLSCert == "" {
		return o, errors.New("--client-ca and --client belong together, and need --tls-cert and --tls-key")
	}
	for _, s := range c.Clients {
		client, err := auth.ParseClient(s)
		if err != nil {
			return o, fmt.Errorf("--client: %w", err)
		}
		o.Clients = append(o.Clients, client)
	}
	return o, nil
}

// open reports the flag of an address that other machines reach.
func (c *Config) open() string {
	for _, a := range []struct{ flag, address string }{{"grpc", c.GRPC}, {"http", c.HTTP}} {
		if host, _, err := net.SplitHostPort(a.address); err == nil && !loopback(host) {
			return a.flag
		}
	}
	return ""
}

// certificate is the server's TLS, or nil for plain text.
func (c *Config) certificate(log *slog.Logger) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	t, err := auth.TLS(c.TLSCert, c.TLSKey, c.ClientCA, log)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key, --client-ca: %w", err)
	}
	return t, nil
}
