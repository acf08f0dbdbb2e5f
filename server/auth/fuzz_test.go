package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc/status"
)

// FuzzKey takes keys apart: what is taken must be a key, and the only spelling
// of its id.
func FuzzKey(f *testing.F) {
	text, _, _, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		text, "", "attune_", "attune_0_0", strings.ToUpper(text), text[:len(text)-1] + "g", "attune_zzzzzzzzzzzzzzzz" + text[len("attune_")+16:], text + "_",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, hash, err := ParseKey(text)
		if err != nil {
			if !errors.Is(err, ErrKey) || id != "" || hash != nil {
				t.Fatalf("got %q, %x and %v, want ErrKey alone", id, hash, err)
			}
			return
		}
		if b, err := hex.DecodeString(id); err != nil || len(b) != 8 || len(hash) != 32 || !strings.HasPrefix(text, keyPrefix+id+"_") {
			t.Fatalf("got id %q and a hash of %d bytes of %q", id, len(hash), text)
		}
	})
}

// endless is randomness without an end, the same in every run.
type endless struct{ r *rand.Rand }

func (e endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(e.r.Uint32())
	}
	return len(b), nil
}

// FuzzToken reads tokens against one issuer's key: head, claims and signature
// as they come, and the claims once more as if they were signed for, which some
// of them are. Nobody comes in whom the issuer did not sign for, and who does has
// a name.
func FuzzToken(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	key, err := ecdsa.GenerateKey(elliptic.P256(), endless{rand.New(rand.NewPCG(1, 1))})
	if err != nil {
		f.Fatal(err)
	}
	tokens, err := newTokens(OIDC{Issuer: "https://issuer.example", Audience: "attune", Roles: "realm.roles"}, func() time.Time { return now })
	if err != nil {
		f.Fatal(err)
	}
	tokens.known, tokens.read, tokens.tried = nil, now, now
	good := fmt.Sprintf(`{"iss":"https://issuer.example","aud":"attune","sub":"somebody","exp":%d,"realm":{"roles":["admin"]},"shops":"a,b"}`, now.Add(time.Hour).Unix())
	for _, c := range []string{
		good, "{}", "null", "[1]", strings.Replace(good, `"sub":"somebody"`, `"sub":7`, 1), strings.Replace(good, `"sub":"somebody",`, "", 1),
		strings.Replace(good, `["admin"]`, `"admin ingest"`, 1), strings.Replace(good, `{"roles":["admin"]}`, "3", 1), strings.Replace(good, `"aud":"attune"`, `"aud":["x"]`, 1),
		strings.Replace(good, `"exp":`, `"exp":1,"x":`, 1), strings.Replace(good, `"a,b"`, `["a",7,"b"]`, 1),
	} {
		f.Add(`{"alg":"ES256","kid":"e"}`, c, "c2ln")
		f.Add(`{"alg":"none"}`, c, "")
		f.Add(`{"alg":"RS256","kid":"e"}`, c, "c2ln")
		f.Add(`{"alg":"ES256","kid":"unknown"}`, c, "c2ln")
	}
	f.Fuzz(func(t *testing.T, head, claims, signature string) {
		ctx := context.Background()
		tokens.known = map[string]crypto.PublicKey{"e": &key.PublicKey}
		segment := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
		if who, err := tokens.caller(ctx, segment(head)+"."+segment(claims)+"."+signature); err == nil {
			t.Fatalf("%v came in with a signature that nobody made", who)
		}
		if who, err := tokens.caller(ctx, claims); err == nil {
			t.Fatalf("%v came in with what is no token", who)
		}
		var c jwt.MapClaims
		if json.Unmarshal([]byte(claims), &c) != nil {
			return
		}
		who, err := tokens.named(c)
		if len(claims)%16 == 0 { // a signature takes longer than all the rest
			tok := jwt.NewWithClaims(jwt.SigningMethodES256, c)
			tok.Header["kid"] = "e"
			text, unsigned := tok.SignedString(key)
			if unsigned != nil {
				return
			}
			signed, refused := tokens.caller(ctx, text)
			if (err == nil) != (refused == nil) || !reflect.DeepEqual(signed, who) {
				t.Fatalf("got %+v, %v of the token and %+v, %v of its claims", signed, refused, who, err)
			}
		}
		if err != nil {
			if _, ok := status.FromError(err); !ok && !errors.Is(err, errIssuer) {
				t.Fatalf("got %v, want a refusal", err)
			}
			return
		}
		if len(who.ID) <= len("oidc:") || c["iss"] != "https://issuer.example" {
			t.Fatalf("got %+v for %s", who, claims)
		}
	})
}

// FuzzJWK reads keys as issuers publish them: one that is taken is whole.
func FuzzJWK(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), endless{rand.New(rand.NewPCG(1, 1))})
	if err != nil {
		f.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	ec := fmt.Sprintf(`{"kty":"EC","kid":"e","crv":"P-256","x":%q,"y":%q}`, base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:]))
	n := append([]byte{0xff}, make([]byte, 255)...)
	for _, s := range []string{
		ec, strings.Replace(ec, `"x":"`, `"x":"AAAA`, 1), strings.Replace(ec, `"x":"`, `"x":"!`, 1), strings.Replace(ec, `"y":"`, `"y":"AAAAAAAAAAAAAAAAAAAAA_AAAAA`, 1), `{"use":"enc"}`, `{"kty":7}`, `{"kty":"oct"}`,
		fmt.Sprintf(`{"kty":"RSA","use":"sig","n":%q,"e":"AQAB"}`, base64.RawURLEncoding.EncodeToString(n)), `{"kty":"RSA","n":"AQAB","e":"AQAB"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var k jwk
		if json.Unmarshal(b, &k) != nil {
			return
		}
		if p := k.public(); p != nil && k.Use != "" && k.Use != "sig" {
			t.Fatalf("a key for %q was taken", k.Use)
		}
	})
}
