package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// Tokens makes and reads page tokens. They are signed, so that a caller can
// only give back what it was given; immutable and safe for concurrent use.
type Tokens struct{ secret []byte }

// NewTokens returns tokens signed under secret. Replicas that share callers
// share the secret.
func NewTokens(secret []byte) *Tokens { return &Tokens{secret: append([]byte(nil), secret...)} }

const signatureBytes = 16

// Seal is v as a token, bound to what it is for.
func (t *Tokens) Seal(purpose string, v any) (string, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return t.SealBytes(purpose, body), nil
}

// SealBytes is b as a token, bound to what it is for.
func (t *Tokens) SealBytes(purpose string, b []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(t.sign(purpose, b), b...))
}

// OpenBytes is what SealBytes was given for the same purpose.
func (t *Tokens) OpenBytes(purpose, token string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < signatureBytes || !hmac.Equal(raw[:signatureBytes], t.sign(purpose, raw[signatureBytes:])) {
		return nil, fieldErrorf("page_token", "not a token of this call: give back next_page_token of the page before, unchanged and with the same request, or leave it empty")
	}
	return raw[signatureBytes:], nil
}

// Open reads a token that Seal made for the same purpose into v.
func (t *Tokens) Open(purpose, token string, v any) error {
	body, err := t.OpenBytes(purpose, token)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, v)
}

func (t *Tokens) sign(purpose string, body []byte) []byte {
	h := hmac.New(sha256.New, t.secret)
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write(body)
	return h.Sum(nil)[:signatureBytes]
}
