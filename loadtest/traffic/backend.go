package traffic

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// GRPC is a backend over several gRPC connections.
type GRPC struct {
	conns []*grpc.ClientConn
	next  atomic.Uint64
}

// DialGRPC opens conns connections to target.
func DialGRPC(target string, conns int) (*GRPC, error) {
	g := &GRPC{}
	for range max(conns, 1) {
		c, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			g.Close()
			return nil, fmt.Errorf("dial %s: %w", target, err)
		}
		g.conns = append(g.conns, c)
	}
	return g, nil
}

// Conn is one of the connections, in turn.
func (g *GRPC) Conn() *grpc.ClientConn { return g.conns[g.next.Add(1)%uint64(len(g.conns))] }

// Close closes the connections.
func (g *GRPC) Close() {
	for _, c := range g.conns {
		_ = c.Close()
	}
}

// Recommend implements Backend.
func (g *GRPC) Recommend(ctx context.Context, r *attunev1.RecommendRequest) error {
	_, err := attunev1.NewRecommendationServiceClient(g.Conn()).Recommend(ctx, r)
	return err
}

// Similar implements Backend.
func (g *GRPC) Similar(ctx context.Context, r *attunev1.SimilarItemsRequest) error {
	_, err := attunev1.NewRecommendationServiceClient(g.Conn()).SimilarItems(ctx, r)
	return err
}

// Collect implements Backend.
func (g *GRPC) Collect(ctx context.Context, r *attunev1.CollectRequest) error {
	_, err := attunev1.NewEventServiceClient(g.Conn()).Collect(ctx, r)
	return err
}

// REST is a backend over the gateway.
type REST struct {
	base   string
	client *http.Client
}

// NewREST talks to the gateway at base ("http://127.0.0.1:8080") over at most
// conns connections.
func NewREST(base string, conns int) *REST {
	return &REST{base: strings.TrimSuffix(base, "/"), client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns, IdleConnTimeout: time.Minute},
	}}
}

// RESTError is an answer that is not 2xx.
type RESTError struct {
	Status int
	Body   string
}

// Error implements error.
func (e *RESTError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.Status, e.Body) }

func (b *REST) do(ctx context.Context, method, path string, body proto.Message) error {
	var reader io.Reader
	if body != nil {
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, b.base+path, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return &RESTError{Status: res.StatusCode, Body: string(raw)}
	}
	return nil
}

// Recommend implements Backend.
func (b *REST) Recommend(ctx context.Context, r *attunev1.RecommendRequest) error {
	return b.do(ctx, http.MethodPost, "/v1/shops/"+url.PathEscape(r.GetShop())+":recommend", r)
}

// Similar implements Backend.
func (b *REST) Similar(ctx context.Context, r *attunev1.SimilarItemsRequest) error {
	return b.do(ctx, http.MethodGet, fmt.Sprintf("/v1/shops/%s/items/%s:similar?limit=%d",
		url.PathEscape(r.GetShop()), url.PathEscape(r.GetItem()), r.GetLimit()), nil)
}

// Collect implements Backend.
func (b *REST) Collect(ctx context.Context, r *attunev1.CollectRequest) error {
	return b.do(ctx, http.MethodPost, "/v1/shops/"+url.PathEscape(r.GetShop())+"/events", r.GetEvent())
}

// Items lists at most n item ids of the shop, through the API.
func (g *GRPC) Items(ctx context.Context, shop string, n int) ([]string, error) {
	client := attunev1.NewCatalogServiceClient(g.Conn())
	var ids []string
	for token := ""; len(ids) < n; {
		page, err := client.ListItems(ctx, &attunev1.ListItemsRequest{Shop: shop, PageSize: 1000, PageToken: token})
		if err != nil {
			return nil, fmt.Errorf("list items: %w", err)
		}
		for _, it := range page.GetItems() {
			ids = append(ids, it.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	return ids[:min(n, len(ids))], nil
}
