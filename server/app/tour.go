package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
)

// demo is what 'trainer demo' leaves in the data directory for the tour.
type demo struct {
	Shop    features.ShopID `json:"shop"`
	Shopper string          `json:"shopper"`
	Market  string          `json:"market"`
	Item    string          `json:"item,omitempty"` // whose page is shown; "": the first recommended
}

const demoFile = "demo.json"

// Tour shows on w what the server does for one shopper: what they did, what
// they should see and why, what is like one of these, and the calls to ask for
// more. It asks the running server as anyone else would, with key where calls
// need one.
func (s *Server) Tour(ctx context.Context, w io.Writer, key string) error {
	d, err := s.demo()
	if err != nil {
		return err
	}
	if key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
	}
	t := &tour{s: s, demo: d, client: attunev1.NewRecommendationServiceClient(s.conn), w: &bytes.Buffer{}, keyed: key != ""}
	for _, part := range []func(context.Context) error{t.history, t.home, t.page, t.calls} {
		err := part(ctx)
		if c := status.Code(err); c == codes.Unauthenticated || c == codes.PermissionDenied {
			return fmt.Errorf("tour: calls need a key with the role frontend for shop %s: make one with 'server keys create --data %s --name tour --role frontend --shop %s', and give it as ATTUNE_TOUR_KEY: %w",
				d.Shop, s.config.Data, d.Shop, err)
		}
		if err != nil {
			return fmt.Errorf("tour: %w", err)
		}
	}
	_, err = w.Write(t.w.Bytes())
	return err
}

func (s *Server) demo() (demo, error) {
	path := filepath.Join(s.config.Data, demoFile)
	b, err := os.ReadFile(path) // #nosec G304 -- a fixed name in the data directory
	if errors.Is(err, fs.ErrNotExist) {
		return demo{}, fmt.Errorf("tour: there is no %s: make the demo data with 'trainer demo --data %s' first", path, s.config.Data)
	}
	if err != nil {
		return demo{}, fmt.Errorf("tour: %w", err)
	}
	var d demo
	if err := json.Unmarshal(b, &d); err != nil || d.Shopper == "" {
		return demo{}, fmt.Errorf("tour: %s does not name a shopper: make it anew with 'trainer demo --data %s'", path, s.config.Data)
	}
	if d.Shop == "" {
		d.Shop = features.DefaultShop
	}
	return d, nil
}

type tour struct {
	s      *Server
	demo   demo
	client attunev1.RecommendationServiceClient
	w      *bytes.Buffer
	first  *attunev1.RecommendedItem
	keyed  bool // calls need the key in ATTUNE_TOUR_KEY
}

func (t *tour) context() *attunev1.Context { return &attunev1.Context{Market: t.demo.Market} }

// history prints the newest of what the shopper did.
func (t *tour) history(ctx context.Context) error {
	names, err := t.s.store.Pseudonyms(ctx, t.demo.Shop)
	if err != nil {
		return err
	}
	events, err := t.s.store.History(ctx, t.demo.Shop, names.User(t.demo.Shopper), 10)
	if err != nil {
		return err
	}
	where := ""
	if t.demo.Market != "" {
		where = " from " + t.demo.Market
	}
	fmt.Fprintf(t.w, "\nShopper %s%s, the newest of the history:\n", t.demo.Shopper, where)
	table := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', 0)
	for i := range events {
		e := &events[i]
		title := e.Item
		if it, err := t.s.store.GetItem(ctx, t.demo.Shop, e.Item); err == nil && it.Title != "" {
			title = it.Title
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", e.Time.Format("2006-01-02"), strings.ReplaceAll(e.Type.String(), "_", " "), pieces(e), title)
	}
	return table.Flush()
}

func pieces(e *features.Event) string {
	if e.Quantity == 0 {
		return ""
	}
	return fmt.Sprintf("%d x %s", e.Quantity, e.Price)
}

func (t *tour) home(ctx context.Context) error {
	r, err := t.client.Recommend(ctx, &attunev1.RecommendRequest{
		Shop: string(t.demo.Shop), User: t.demo.Shopper, Surface: features.SurfaceHome, Context: t.context(), Limit: 8,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(t.w, "\nRecommended on the home page, by release %s:\n", r.GetRelease())
	if len(r.GetItems()) == 0 {
		return errors.New("the shopper received no recommendation")
	}
	t.first = r.GetItems()[0]
	return t.list(r.GetItems())
}

func (t *tour) page(ctx context.Context) error {
	item, title := t.demo.Item, t.demo.Item
	if item == "" {
		item, title = t.first.GetItem(), t.first.GetTitle()
	}
	r, err := t.client.SimilarItems(ctx, &attunev1.SimilarItemsRequest{Shop: string(t.demo.Shop), Item: item, Context: t.context(), Limit: 5})
	if err != nil {
		return err
	}
	fmt.Fprintf(t.w, "\nOn the page of %s (%s):\n", title, item)
	return t.list(r.GetItems())
}

func (t *tour) list(items []*attunev1.RecommendedItem) error {
	table := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', 0)
	for i, it := range items {
		price := features.Money{Micros: it.GetPrice().GetMicros(), Currency: it.GetPrice().GetCurrency()}
		fmt.Fprintf(table, "  %d.\t%s\t%s\t%s\t%s\n", i+1, it.GetItem(), it.GetTitle(), price, it.GetReason().GetText())
	}
	return table.Flush()
}

// calls prints lines that work as they stand; a key is named by its variable.
func (t *tour) calls(context.Context) error {
	shop, user, market, item := string(t.demo.Shop), t.demo.Shopper, t.demo.Market, t.first.GetItem()
	scheme, curl, grpcurl := "http", "curl -s ", "go tool -modfile=.ci/tools/grpcurl.mod grpcurl -plaintext "
	if t.s.config.TLSCert != "" {
		scheme, grpcurl = "https", "go tool -modfile=.ci/tools/grpcurl.mod grpcurl "
	}
	if t.keyed {
		const header = `-H "authorization: Bearer $ATTUNE_TOUR_KEY" `
		curl += header
		grpcurl += header
		fmt.Fprint(t.w, "\nThe calls below take the key from the environment: export ATTUNE_TOUR_KEY=... first.\n")
	}
	rest := scheme + "://" + t.s.HTTP() + "/v1/shops/" + shop
	fmt.Fprintf(t.w, `
Ask for more (/docs has every call: %[1]s://%[2]s/docs):
  %[9]s'%[3]s:recommend' -d '{"user":"%[4]s","surface":"home","context":{"market":"%[5]s"},"limit":5}'
  %[9]s'%[3]s:recommend' -d '{"user":"%[4]s","surface":"home","context":{"market":"%[5]s","locale":"zh"},"limit":5}'
  %[9]s'%[3]s/items/%[6]s:similar?limit=5'
See the next answer change after an event:
  %[9]s'%[3]s/events' -d '{"type":"EVENT_TYPE_VIEW","user":"%[4]s","item":"%[6]s"}'
The same by gRPC, with the grpcurl that the repository pins:
  %[10]s-d '{"shop":"%[8]s","user":"%[4]s","surface":"home","context":{"market":"%[5]s"},"limit":5}' %[7]s attune.v1.RecommendationService/Recommend
  %[10]s%[7]s list
`, scheme, t.s.HTTP(), rest, user, market, item, t.s.GRPC(), shop, curl, grpcurl)
	return nil
}
