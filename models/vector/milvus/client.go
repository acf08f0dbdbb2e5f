package milvus

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"time"

	retry "github.com/grpc-ecosystem/go-grpc-middleware/retry"
	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	sdk "github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/milvus-io/milvus-sdk-go/v2/entity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
)

// Config is how a Milvus cluster is reached and searched. Only Address is
// needed.
type Config struct {
	Address  string // host:port
	Username string // with Password; empty: Milvus asks for none
	Password string
	Database string      // empty: the default one
	TLS      *tls.Config // nil: none

	// Consistency of searches: "bounded", "eventually", "session" or "strong";
	// empty means bounded. A collection is complete before it is searched, so
	// that strong only costs time.
	Consistency string

	Dial    time.Duration // to connect; 0 means 10 s
	Search  time.Duration // for one search, and less when its context ends first; 0 means 1 s
	Admin   time.Duration // for one step of publishing; 0 means 30 s
	Ready   time.Duration // for a loaded collection to answer; 0 means 30 s
	Publish time.Duration // to flush, index or load a collection; 0 means 30 min

	M        int // links of a row; 0 means 32
	Build    int // width of the walk at build; 0 means 300
	Width    int // width of the walk of a search for a hundred; 0 means 512
	Shards   int // of a collection; 0 means 1
	Replicas int // of a loaded collection; 0 means 1
	Batch    int // rows an insert; 0 means 5,000
}

func (c *Config) defaults() error {
	if c.Address == "" {
		return fmt.Errorf("%w: address: expected host:port", ErrConfig)
	}
	if (c.Username == "") != (c.Password == "") {
		return fmt.Errorf("%w: username and password: expected both or neither", ErrConfig)
	}
	c.Consistency = cmp.Or(c.Consistency, "bounded")
	if _, ok := levels[c.Consistency]; !ok {
		return fmt.Errorf("%w: consistency %q: expected bounded, eventually, session or strong", ErrConfig, c.Consistency)
	}
	for _, d := range []*time.Duration{&c.Dial, &c.Search, &c.Admin, &c.Ready, &c.Publish} {
		if *d < 0 {
			return fmt.Errorf("%w: a time limit of %v: expected 0 or more", ErrConfig, *d)
		}
	}
	for _, n := range []*int{&c.M, &c.Build, &c.Width, &c.Shards, &c.Replicas, &c.Batch} {
		if *n < 0 {
			return fmt.Errorf("%w: a size of %d: expected 0 or more", ErrConfig, *n)
		}
	}
	c.Dial, c.Search = cmp.Or(c.Dial, 10*time.Second), cmp.Or(c.Search, time.Second)
	c.Admin, c.Ready = cmp.Or(c.Admin, 30*time.Second), cmp.Or(c.Ready, 30*time.Second)
	c.Publish = cmp.Or(c.Publish, 30*time.Minute)
	c.M, c.Build, c.Width = cmp.Or(c.M, 32), cmp.Or(c.Build, 300), cmp.Or(c.Width, 512)
	c.Shards, c.Replicas, c.Batch = cmp.Or(c.Shards, 1), cmp.Or(c.Replicas, 1), cmp.Or(c.Batch, 5000)
	return nil
}

var levels = map[string]entity.ConsistencyLevel{
	"bounded": entity.ClBounded, "eventually": entity.ClEventually, "session": entity.ClSession, "strong": entity.ClStrong,
}

// Client is a connection to a cluster, shared by indexes and publishers. It is
// safe for concurrent use and reconnects by itself.
type Client struct {
	c   Config
	sdk sdk.Client
}

// Connect connects and proves that the cluster answers to these credentials and
// knows the database. It takes Config.Dial at most.
func Connect(ctx context.Context, c Config) (*Client, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Dial)
	defer cancel()
	var last atomic.Pointer[grpc.ClientConn] // of the last call: an SDK that fails to connect leaves its own open
	seen := func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		last.Store(conn)
		return invoke(ctx, method, req, reply, conn, opts...)
	}
	options := append([]grpc.DialOption{grpc.WithChainUnaryInterceptor(seen, fewTries, refuseCodes)}, sdk.DefaultGrpcOpts...)
	options = append(options, grpc.WithConnectParams(grpc.ConnectParams{ // back soon after Milvus is
		Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: .2, MaxDelay: time.Second},
		MinConnectTimeout: 2 * time.Second,
	}))
	if c.TLS != nil { // comes after the SDK's own, which would not take our roots
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(c.TLS)))
	}
	conn, err := sdk.NewClient(ctx, sdk.Config{
		Address: c.Address, Username: c.Username, Password: c.Password, DBName: c.Database, DialOptions: options,
	})
	if err != nil {
		if open := last.Load(); open != nil {
			_ = open.Close()
		}
		return nil, fmt.Errorf("connect to %s: %w: %w", c.Address, ErrMilvus, err)
	}
	cl := &Client{c: c, sdk: conn}
	if _, err := conn.ListCollections(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect to %s: %w: %w", c.Address, ErrMilvus, err)
	}
	return cl, nil
}

// Close ends the connection; indexes of it can no longer be searched.
func (c *Client) Close() error { return c.sdk.Close() }

// CreateDatabase creates the database of that name unless there is one. The
// connection must be to another, or to the default one.
func (c *Client) CreateDatabase(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, c.c.Admin)
	defer cancel()
	all, err := c.sdk.ListDatabases(ctx)
	if err != nil {
		return fmt.Errorf("list databases: %w: %w", ErrMilvus, err)
	}
	for _, d := range all {
		if d.Name == name {
			return nil
		}
	}
	if err := c.sdk.CreateDatabase(ctx, name); err != nil {
		return fmt.Errorf("create database %s: %w: %w", name, ErrMilvus, err)
	}
	return nil
}

// fewTries keeps the SDK from trying again and again for twenty seconds. A search
// is tried once: there may be another index to ask.
func fewTries(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := req.(*milvuspb.SearchRequest); ok {
		opts = append(opts, retry.Disable())
	} else {
		opts = append(opts, retry.WithMax(3))
	}
	return invoke(ctx, method, req, reply, conn, opts...)
}

// refuseCodes turns the codes of newer Milvus into errors: the SDK looks only
// at the older field, and takes a refusal for an empty answer.
func refuseCodes(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if err := invoke(ctx, method, req, reply, conn, opts...); err != nil {
		return err
	}
	var s *commonpb.Status
	switch r := reply.(type) {
	case *commonpb.Status:
		s = r
	case interface{ GetStatus() *commonpb.Status }:
		s = r.GetStatus()
	}
	if s.GetCode() != 0 && s.GetErrorCode() == commonpb.ErrorCode_Success { //nolint:staticcheck // the SDK looks at nothing else
		return fmt.Errorf("%s: code %d: %s", method, s.GetCode(), s.GetReason())
	}
	return nil
}
