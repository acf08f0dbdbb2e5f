package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// PeerHeader carries a certificate from the REST listener to the gRPC server of
// the same process; see Guard.Peer.
const PeerHeader = "x-attune-peer"

// Options say who may call. With no key ever made, no issuer and no clients,
// everyone may do everything, unless Required.
type Options struct {
	Policies *Policies
	Keys     KeySource // nil: none
	OIDC     *OIDC     // nil: no tokens
	Clients  []Client  // holders of certificates that the listener verified
	Required bool
	Rate     float64          // calls a second of a caller that has no rate of its own; 0: unbounded
	Clock    func() time.Time // nil: time.Now
}

// Guard decides about every call. It is safe for concurrent use.
type Guard struct {
	o      Options
	keys   *keys
	tokens *tokens
	limits *limits
	secret string
	anyone *Caller // who calls where nobody must say who they are
}

// NewGuard returns a guard; close it when nobody calls any more.
func NewGuard(o Options) (g *Guard, err error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	g = &Guard{o: o, anyone: &Caller{ID: anonymousID, Shops: []features.ShopID{store.AllShops}}}
	if o.Keys != nil {
		if g.keys, err = newKeys(o.Keys, o.Clock); err != nil {
			return nil, err
		}
	}
	if o.OIDC != nil {
		if g.tokens, err = newTokens(*o.OIDC, o.Clock); err != nil {
			return nil, fmt.Errorf("oidc: %w", err)
		}
	}
	if g.limits, err = newLimits(o.Clock); err != nil {
		return nil, err
	}
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, err
	}
	g.secret = hex.EncodeToString(b[:])
	return g, nil
}

// Close ends connections to the issuer of tokens.
func (g *Guard) Close() error {
	if g.tokens != nil {
		g.tokens.close()
	}
	return nil
}

// On reports whether callers must say who they are.
func (g *Guard) On(ctx context.Context) (bool, error) {
	if g.o.Required || g.tokens != nil || len(g.o.Clients) > 0 {
		return true, nil
	}
	if g.keys == nil {
		return false, nil
	}
	return g.keys.inUse(ctx)
}

// Admit is who calls a method, when they may: everything but what the request
// says. The errors are for the caller.
func (g *Guard) Admit(ctx context.Context, method string) (*Caller, error) {
	policy, err := g.o.Policies.Of(method)
	if err != nil {
		return nil, deny("NO_POLICY", err.Error())
	}
	if policy.GetPublic() {
		return g.anyone, nil
	}
	on, err := g.On(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	if !on {
		return g.anyone, nil
	}
	c, err := g.identify(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	rate := c.Rate
	if rate == 0 {
		rate = g.o.Rate
	}
	if wait := g.limits.take(c.ID, rate); wait > 0 {
		return nil, exhausted("RATE_LIMITED", fmt.Sprintf("more than %g calls a second: wait %s, or ask for a key with a higher rate", rate, wait.Round(time.Millisecond)),
			&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	if !c.may(policy.GetRoles()) {
		return nil, deny("ROLE_MISSING", fmt.Sprintf("%s may be called by %s: use a key or token with one of these roles", method, names(policy.GetRoles())))
	}
	return c, nil
}

func names(roles []attunev1.Role) string {
	all := make([]string, len(roles))
	for i, r := range roles {
		all[i] = RoleName(r)
	}
	return strings.Join(all, ", ")
}

// identify is who calls, by bearer key or token, or else by certificate.
func (g *Guard) identify(ctx context.Context) (*Caller, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md.Get("authorization"); len(values) > 0 {
		scheme, text, _ := strings.Cut(values[0], " ")
		switch text = strings.TrimSpace(text); {
		case len(values) > 1 || !strings.EqualFold(scheme, "bearer") || text == "":
			return nil, refuse("CREDENTIALS_MALFORMED", "one header 'Authorization: Bearer <key or token>' is expected")
		case strings.HasPrefix(text, keyPrefix) && g.keys != nil:
			return g.keys.caller(ctx, text)
		case g.tokens != nil:
			return g.tokens.caller(ctx, text)
		}
		return nil, refuse("CREDENTIALS_UNKNOWN", "only keys are taken here: send 'Authorization: Bearer attune_…'")
	}
	if leaf := g.leaf(ctx, md); leaf != nil {
		return g.certCaller(leaf)
	}
	return nil, refuse("CREDENTIALS_MISSING", "say who calls: send 'Authorization: Bearer <key or token>'; keys are made with 'server keys create'")
}

// leaf is the verified certificate that the call came with; nil without one.
func (g *Guard) leaf(ctx context.Context, md metadata.MD) *x509.Certificate {
	if len(g.o.Clients) == 0 {
		return nil
	}
	for _, v := range md.Get(PeerHeader) {
		if leaf := g.vouched(v); leaf != nil {
			return leaf
		}
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return nil
	}
	return info.State.VerifiedChains[0][0]
}

// Check decides about what a request says: its shop and its size.
func (g *Guard) Check(c *Caller, req proto.Message) error {
	if c.MaxBytes > 0 {
		if n := int64(proto.Size(req)); n > c.MaxBytes {
			return exhausted("REQUEST_TOO_LARGE", fmt.Sprintf("the request has %d bytes and this key may send %d: send it in parts", n, c.MaxBytes))
		}
	}
	if slices.Contains(c.Shops, store.AllShops) {
		return nil
	}
	for _, shop := range ShopsOf(req) {
		if !c.in(shop) {
			return deny("WRONG_SHOP", fmt.Sprintf("this caller has no access to shop %q: use a key or token of that shop", shop))
		}
	}
	return nil
}

// ShopsOf is the shops that a request of ours names: its own, which is the
// default one when it names none, and those of the requests within it. It has
// none only when it has no such field.
func ShopsOf(req proto.Message) (shops []features.ShopID) {
	m := req.ProtoReflect()
	d := m.Descriptor()
	if d.ParentFile().Package() != "attune.v1" {
		return nil
	}
	if f := d.Fields().ByName("shop"); f != nil && f.Kind() == protoreflect.StringKind {
		shops = append(shops, cmp.Or(features.ShopID(m.Get(f).String()), features.DefaultShop))
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if !f.IsList() || f.Message() == nil {
			continue
		}
		inner := f.Message().Fields().ByName("shop")
		if inner == nil || inner.Kind() != protoreflect.StringKind {
			continue
		}
		list := m.Get(f).List()
		for k := range list.Len() {
			if s := list.Get(k).Message().Get(inner).String(); s != "" {
				shops = append(shops, features.ShopID(s))
			}
		}
	}
	return shops
}

// domain is the ErrorInfo domain of refusals.
const domain = "attune"

func refuse(reason, message string) error { return refusal(codes.Unauthenticated, reason, message) }

func deny(reason, message string) error { return refusal(codes.PermissionDenied, reason, message) }

func exhausted(reason, message string, more ...protoadapt.MessageV1) error {
	return refusal(codes.ResourceExhausted, reason, message, more...)
}

// unavailable is a refusal because something that decides does not answer: who
// cannot be checked is not let in.
func unavailable(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	return refusal(codes.Unavailable, "AUTH_UNAVAILABLE", "who calls cannot be checked now: try again")
}

func refusal(code codes.Code, reason, message string, more ...protoadapt.MessageV1) error {
	s := status.New(code, message)
	if d, err := s.WithDetails(append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: domain}}, more...)...); err == nil {
		s = d
	}
	return s.Err()
}
