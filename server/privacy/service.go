// Package privacy answers what a person may ask of those who hold their data,
// and writes down who did what with it. It imports proto, features/store and
// server/api.
//
// Start reading at Service; audit.go has the log.
package privacy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/api"
)

// Names makes pseudonyms.
type Names interface {
	// Pseudonyms makes the shop when it is new.
	Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
	// Known is nil for a shop that does not exist.
	Known(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
}

// Service is PrivacyService.
type Service struct {
	attunev1.UnimplementedPrivacyServiceServer
	Store  *store.Store
	Names  Names
	Memory []Memory // told who is not to be remembered

	Changed func(features.ShopID, features.UserKey) // told whose consent is another now; nil: nobody
	Tokens  *api.Tokens

	// Profile is what is concluded of a person; nil when there is none. A nil
	// function knows of none.
	Profile func(context.Context, features.ShopID, features.UserKey) (*features.Profile, error)
}

// Memory is a place outside the store where something is remembered of persons.
type Memory struct {
	Name   string
	Forget func(features.ShopID, features.UserKey)
}

// locate is the shop and the person that a request names.
func (s *Service) locate(ctx context.Context, name, id string) (shop features.ShopID, key features.UserKey, err error) {
	shop = cmp.Or(features.ShopID(name), features.DefaultShop)
	names, err := s.Names.Known(ctx, shop)
	if err == nil && names == nil {
		err = fmt.Errorf("shop %s: %w", shop, store.ErrNotFound)
	}
	if err != nil {
		return shop, key, err
	}
	return shop, names.User(id), nil
}

// ExportUser implements the RPC.
func (s *Service) ExportUser(ctx context.Context, r *attunev1.ExportUserRequest) (*attunev1.ExportUserResponse, error) {
	shop, key, err := s.locate(ctx, r.GetShop(), r.GetId())
	if err != nil {
		return nil, api.Status(err)
	}
	p, err := s.Store.Export(ctx, shop, key)
	if err != nil {
		return nil, api.Status(err)
	}
	data := exportOf(r.GetId(), p)
	if s.Profile != nil {
		if data.Profile, err = s.Profile(ctx, shop, key); err != nil {
			return nil, api.Status(err)
		}
	}
	out := &attunev1.ExportUserResponse{Data: &structpb.Struct{}}
	if r.GetFormat() == attunev1.ExportFormat_EXPORT_FORMAT_CSV {
		out.Data = nil
		if out.Tables, err = tablesOf(data); err != nil {
			return nil, api.Status(err)
		}
		return out, nil
	}
	b, err := json.Marshal(data)
	if err != nil {
		return nil, api.Status(err)
	}
	if err := out.GetData().UnmarshalJSON(b); err != nil {
		return nil, api.Status(err)
	}
	return out, nil
}

// EraseUser implements the RPC.
func (s *Service) EraseUser(ctx context.Context, r *attunev1.EraseUserRequest) (*attunev1.EraseUserResponse, error) {
	shop, key, err := s.locate(ctx, r.GetShop(), r.GetId())
	if err != nil {
		return nil, api.Status(err)
	}
	forget := func(keys []features.UserKey) {
		for _, m := range s.Memory {
			for _, k := range keys {
				m.Forget(shop, k)
			}
		}
	}
	c, err := s.Store.Erase(ctx, shop, key, forget)
	if err != nil {
		return nil, api.Status(err)
	}
	forget(c.Keys) // again: what was begun before may have come to be remembered
	out := &attunev1.EraseUserResponse{Time: timestamppb.New(c.Time)}
	for _, p := range c.Places {
		out.Places = append(out.Places, &attunev1.ErasedPlace{Name: p.Name, Removed: p.Removed})
	}
	for _, m := range s.Memory {
		out.Places = append(out.Places, &attunev1.ErasedPlace{Name: m.Name, Removed: int64(len(c.Keys))})
	}
	return out, nil
}

// export is a person's data in the words of the shop.
type export struct {
	ID      string            `json:"id"`
	User    *exportUser       `json:"user,omitempty"`
	Consent map[string]bool   `json:"consent"`
	Profile *features.Profile `json:"profile,omitempty"`
	Events  []exportEvent     `json:"events"`
	Answers []exportAnswer    `json:"answers"`
	Refused []exportRefused   `json:"refused"`
	Risk    []exportFlag      `json:"risk"`
	Linked  []exportLink      `json:"linked"`

	Audiences []features.Membership `json:"audiences"` // partners' lists
}

type exportFlag struct {
	Kind    string    `json:"kind"`
	Score   float64   `json:"score"`
	Reasons string    `json:"reasons"`
	State   string    `json:"state"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Events  int64     `json:"events"`
	Note    string    `json:"note,omitempty"`
}

// exportLink is a session or another user that is the person too.
type exportLink struct {
	Pseudonym string `json:"pseudonym"`
}

type exportUser struct {
	Market    string         `json:"market,omitempty"`
	Languages []string       `json:"languages,omitempty"`
	Personal  store.Personal `json:"personal"`
	Created   time.Time      `json:"created"`
	Updated   time.Time      `json:"updated"`
}

type exportEvent struct {
	ID             string            `json:"id,omitempty"`
	Type           string            `json:"type"`
	Time           time.Time         `json:"time"`
	Received       time.Time         `json:"received"`
	Item           string            `json:"item,omitempty"`
	Surface        string            `json:"surface,omitempty"`
	Channel        string            `json:"channel,omitempty"`
	Device         string            `json:"device,omitempty"`
	Market         string            `json:"market,omitempty"`
	Locale         string            `json:"locale,omitempty"`
	Quantity       int32             `json:"quantity,omitempty"`
	Price          float64           `json:"price,omitempty"`
	Currency       string            `json:"currency,omitempty"`
	Value          float64           `json:"value,omitempty"`
	Order          string            `json:"order,omitempty"`
	Text           string            `json:"text,omitempty"`
	Target         string            `json:"target,omitempty"`
	Recommendation string            `json:"recommendation,omitempty"`
	Position       int32             `json:"position,omitempty"`
	Attributes     map[string]string `json:"attributes,omitempty"`
}

type exportAnswer struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Surface string    `json:"surface"`
	Market  string    `json:"market,omitempty"`
	Release string    `json:"release"`
	Items   []string  `json:"items"`
}

type exportRefused struct {
	Received time.Time `json:"received"`
	Rule     string    `json:"rule"`
	Reason   string    `json:"reason"`
	Payload  string    `json:"payload"`
}

func exportOf(id string, p *store.Person) *export {
	x := &export{ID: id, Consent: map[string]bool{
		"personalisation": p.Consent.Has(features.Personalisation), "marketing": p.Consent.Has(features.Marketing),
		"analytics": p.Consent.Has(features.Analytics),
	}}
	if u := p.User; u != nil {
		x.User = &exportUser{Market: u.Market, Languages: u.Languages, Personal: u.Personal, Created: u.Created, Updated: u.Updated}
	}
	for i := range p.Events {
		e := &p.Events[i]
		x.Events = append(x.Events, exportEvent{
			ID: e.ID, Type: e.Type.String(), Time: e.Time, Received: e.Received, Item: e.Item, Surface: e.Surface, Channel: e.Channel,
			Device: e.Device, Market: e.Market, Locale: e.Locale, Quantity: e.Quantity, Price: e.Price.Units(), Currency: e.Price.Currency,
			Value: e.Value, Order: e.Order, Text: e.Text, Target: e.Target, Recommendation: e.Recommendation, Position: e.Position, Attributes: e.Attributes,
		})
	}
	for i := range p.Served {
		a := &p.Served[i]
		out := exportAnswer{ID: a.Recommendation, Time: a.Time, Surface: a.Surface, Market: a.Market, Release: a.Release}
		for _, it := range a.Items {
			out.Items = append(out.Items, it.Item)
		}
		x.Answers = append(x.Answers, out)
	}
	for i := range p.Flags {
		f := &p.Flags[i]
		why := make([]string, len(f.Reasons))
		for n, r := range f.Reasons {
			why[n] = r.Text
		}
		x.Risk = append(x.Risk, exportFlag{
			Kind: string(f.Kind), Score: f.Score, Reasons: strings.Join(why, "; "), State: string(f.State), First: f.First, Last: f.Last, Events: f.Events, Note: f.Note,
		})
	}
	x.Audiences = p.Audiences
	for _, k := range p.Aliases {
		x.Linked = append(x.Linked, exportLink{k.String()})
	}
	for i := range p.Refused {
		d := &p.Refused[i]
		x.Refused = append(x.Refused, exportRefused{Received: d.Received, Rule: d.Rule, Reason: d.Reason, Payload: string(d.Payload)})
	}
	return x
}
