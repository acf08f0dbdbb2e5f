package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/attune-rec/attune/features"
)

// OIDC says whose tokens are taken, and where in them roles and shops stand.
type OIDC struct {
	Issuer   string // its discovery is at <issuer>/.well-known/openid-configuration
	Audience string // that a token must be for
	Roles    string // claim of the roles, with dots into objects; "": roles
	Shops    string // claim of the shops, "*" being every shop; "": shops
}

// Validate reports what cannot work.
func (o OIDC) Validate() error {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" {
		return fmt.Errorf("issuer must be a URL: got %q", o.Issuer)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return fmt.Errorf("issuer must be https, or http on this machine: got %q", o.Issuer)
	}
	if o.Audience == "" {
		return errors.New("an audience is needed: without one a token for any other service would do")
	}
	return nil
}

// The issuer's keys are read anew when they are old, and when a token names
// one that is not known; that no more often than keysPause.
const (
	keysMaxAge = 10 * time.Minute
	keysPause  = 5 * time.Second
	keysMost   = 1 << 20 // bytes of an issuer's answer
	leeway     = 30 * time.Second
	minModulus = 2048
)

// tokens checks JWTs.
type tokens struct {
	o      OIDC
	now    func() time.Time
	client *http.Client
	parser *jwt.Parser    // form and signature
	claims *jwt.Validator // issuer, audience, expiry and start

	mu    sync.Mutex
	known map[string]crypto.PublicKey // by kid
	read  time.Time
	tried time.Time
}

func newTokens(o OIDC, now func() time.Time) (*tokens, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Roles == "" {
		o.Roles = "roles"
	}
	if o.Shops == "" {
		o.Shops = "shops"
	}
	return &tokens{
		o: o, now: now, client: &http.Client{Timeout: 5 * time.Second},
		parser: jwt.NewParser(jwt.WithValidMethods([]string{"RS256", "ES256"}), jwt.WithoutClaimsValidation()),
		claims: jwt.NewValidator(jwt.WithIssuer(o.Issuer), jwt.WithAudience(o.Audience),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now)),
	}, nil
}

// errIssuer says that the issuer cannot be asked for its keys.
var errIssuer = errors.New("token issuer does not answer")

// caller is whom a token names.
func (t *tokens) caller(ctx context.Context, text string) (*Caller, error) {
	claims := jwt.MapClaims{}
	_, err := t.parser.ParseWithClaims(text, claims, func(tok *jwt.Token) (any, error) { return t.key(ctx, tok) })
	switch {
	case errors.Is(err, errIssuer):
		return nil, err
	case err != nil:
		return nil, t.invalid()
	}
	return t.named(claims)
}

func (t *tokens) invalid() error {
	return refuse("TOKEN_INVALID", "the token is not valid: it must be signed by "+t.o.Issuer+" with RS256 or ES256 and name issuer, audience and expiry")
}

// named is whom claims name that the issuer signed.
func (t *tokens) named(claims jwt.MapClaims) (*Caller, error) {
	switch err := t.claims.Validate(claims); {
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, refuse("TOKEN_EXPIRED", "the token has expired: get a new one from "+t.o.Issuer)
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return nil, refuse("TOKEN_AUDIENCE", "the token is for another service: ask for the audience "+t.o.Audience)
	case err != nil:
		return nil, t.invalid()
	}
	subject, err := claims.GetSubject()
	if err != nil || subject == "" {
		return nil, refuse("TOKEN_INVALID", "the token names no subject")
	}
	c := &Caller{ID: "oidc:" + subject, Roles: rolesOf(claimed(claims, t.o.Roles))}
	for _, s := range claimed(claims, t.o.Shops) {
		c.Shops = append(c.Shops, features.ShopID(s))
	}
	return c, nil
}

// claimed is a claim that is a string or a list of strings.
func claimed(claims map[string]any, path string) (all []string) {
	name, rest, deeper := strings.Cut(path, ".")
	if deeper {
		inner, _ := claims[name].(map[string]any)
		return claimed(inner, rest)
	}
	switch v := claims[name].(type) {
	case string:
		return strings.Fields(strings.ReplaceAll(v, ",", " "))
	case []any:
		for _, x := range v {
			if s, ok := x.(string); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// key is the issuer's key that a token says it was signed with.
func (t *tokens) key(ctx context.Context, tok *jwt.Token) (any, error) {
	kid, _ := tok.Header["kid"].(string)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	found := t.known[kid]
	if (found == nil || now.Sub(t.read) > keysMaxAge) && (t.tried.IsZero() || now.Sub(t.tried) > keysPause) {
		t.tried = now
		known, err := t.fetch(ctx)
		switch {
		case err == nil:
			t.known, t.read = known, now
			found = known[kid]
		case found == nil:
			return nil, fmt.Errorf("%w: %w", errIssuer, err)
		}
	}
	if found == nil {
		if t.known == nil {
			return nil, errIssuer
		}
		return nil, errors.New("signed with a key that the issuer does not name")
	}
	_, isRSA := found.(*rsa.PublicKey)
	if isRSA != (tok.Method.Alg() == "RS256") {
		return nil, errors.New("signed with another method than its key is for")
	}
	return found, nil
}

// fetch reads the issuer's discovery and its keys.
func (t *tokens) fetch(ctx context.Context) (map[string]crypto.PublicKey, error) {
	var discovery struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := t.get(ctx, strings.TrimSuffix(t.o.Issuer, "/")+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, err
	}
	if discovery.Issuer != t.o.Issuer {
		return nil, fmt.Errorf("discovery names the issuer %q", discovery.Issuer)
	}
	if err := (OIDC{Issuer: discovery.JWKS, Audience: "-"}).Validate(); err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := t.get(ctx, discovery.JWKS, &set); err != nil {
		return nil, err
	}
	known := map[string]crypto.PublicKey{}
	for _, k := range set.Keys {
		if p := k.public(); p != nil {
			known[k.ID] = p
		}
	}
	return known, nil
}

func (t *tokens) get(ctx context.Context, where string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return err
	}
	resp, err := t.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", where, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, keysMost)).Decode(into)
}

func (t *tokens) close() { t.client.CloseIdleConnections() }

// jwk is a key as issuers publish it (RFC 7517).
type jwk struct {
	ID, Type, Use, Curve, N, E, X, Y string
}

// UnmarshalJSON implements json.Unmarshaler.
func (k *jwk) UnmarshalJSON(b []byte) error {
	var v struct {
		ID    string `json:"kid"`
		Type  string `json:"kty"`
		Use   string `json:"use"`
		Curve string `json:"crv"`
		N     string `json:"n"`
		E     string `json:"e"`
		X     string `json:"x"`
		Y     string `json:"y"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*k = jwk(v)
	return nil
}

// public is the key, or nil when it is of a kind that is not taken.
func (k *jwk) public() crypto.PublicKey {
	if k.Use != "" && k.Use != "sig" {
		return nil
	}
	number := func(s string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return new(big.Int)
		}
		return new(big.Int).SetBytes(b)
	}
	switch {
	case k.Type == "RSA":
		n, e := number(k.N), number(k.E)
		if n.BitLen() < minModulus || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
			return nil
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}
	case k.Type == "EC" && k.Curve == "P-256":
		x, y := number(k.X), number(k.Y)
		if x.BitLen() > 256 || y.BitLen() > 256 {
			return nil
		}
		point := append([]byte{4}, make([]byte, 64)...) // uncompressed
		x.FillBytes(point[1:33])
		y.FillBytes(point[33:])
		p, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return nil
		}
		return p
	}
	return nil
}
