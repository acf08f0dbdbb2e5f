package auth

import (
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Client is what the holder of a certificate may do. Name is the certificate's
// common name, or one of its DNS names or URIs.
type Client struct {
	Name  string
	Roles []attunev1.Role
	Shops []features.ShopID
}

// ParseClient reads NAME=ROLE+ROLE@SHOP+SHOP; without shops it is the default
// one, and "*" is every shop.
func ParseClient(s string) (Client, error) {
	at := strings.LastIndex(s, "=")
	if at <= 0 {
		return Client{}, fmt.Errorf("expected NAME=ROLE+ROLE@SHOP+SHOP: got %q", s)
	}
	c := Client{Name: s[:at]}
	roles, shops, named := strings.Cut(s[at+1:], "@")
	for _, r := range strings.Split(roles, "+") {
		role, err := ParseRole(r)
		if err != nil {
			return Client{}, err
		}
		c.Roles = append(c.Roles, role)
	}
	if !named {
		shops = string(features.DefaultShop)
	}
	for _, name := range strings.Split(shops, "+") {
		shop := features.ShopID(name)
		if shop != store.AllShops {
			if err := shop.Validate(); err != nil {
				return Client{}, err
			}
		}
		c.Shops = append(c.Shops, shop)
	}
	return c, nil
}

// certCaller is whom a verified certificate names.
func (g *Guard) certCaller(leaf *x509.Certificate) (*Caller, error) {
	names := append([]string{leaf.Subject.CommonName}, leaf.DNSNames...)
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	for i := range g.o.Clients {
		if c := &g.o.Clients[i]; slices.Contains(names, c.Name) {
			return &Caller{ID: "cert:" + c.Name, Shops: c.Shops, Roles: c.Roles}, nil
		}
	}
	return nil, refuse("CERTIFICATE_UNKNOWN", "the certificate is valid but nothing says what its holder may do: start the server with --client NAME=ROLE@SHOP")
}

// Peer is the value of PeerHeader for a call that came with a verified
// certificate to another listener of this process. Nobody else can make it.
func (g *Guard) Peer(leaf *x509.Certificate) string {
	return g.secret + " " + base64.StdEncoding.EncodeToString(leaf.Raw)
}

// vouched is the certificate that such a value names; nil when it is not ours.
func (g *Guard) vouched(value string) *x509.Certificate {
	secret, der, _ := strings.Cut(value, " ")
	if subtle.ConstantTimeCompare([]byte(secret), []byte(g.secret)) != 1 {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(der)
	if err != nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil
	}
	return leaf
}
