package api

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash"
	"sync"
)

// Tokens makes and reads page tokens. They are signed, so that a caller can
// only give back what it was given; immutable and safe for concurrent use.
type Tokens struct{ signers sync.Pool } // of *signer

// signer is a hash under the secret, and the memory of a use of it.
type signer struct {
	hash            hash.Hash
	in, sum, signed []byte
}

// NewTokens returns tokens signed under secret. Replicas that share callers
// share the secret.
func NewTokens(secret []byte) *Tokens {
	t := &Tokens{}
	secret = bytes.Clone(secret)
	t.signers.New = func() any { return &signer{hash: hmac.New(sha256.New, secret)} }
	return t
}

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
	s := t.signers.Get().(*signer)
	defer t.signers.Put(s)
	s.signed = append(append(s.signed[:0], s.sign(purpose, b)...), b...)
	return base64.RawURLEncoding.EncodeToString(s.signed)
}

// OpenBytes is what SealBytes was given for the same purpose.
func (t *Tokens) OpenBytes(purpose, token string) ([]byte, error) {
	s := t.signers.Get().(*signer)
	defer t.signers.Put(s)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < signatureBytes || !hmac.Equal(raw[:signatureBytes], s.sign(purpose, raw[signatureBytes:])) {
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

// sign is the signature of body for a purpose, until the signer is used again.
func (s *signer) sign(purpose string, body []byte) []byte {
	s.in = append(append(append(s.in[:0], purpose...), 0), body...)
	s.hash.Reset()
	s.hash.Write(s.in)
	s.sum = s.hash.Sum(s.sum[:0])
	return s.sum[:signatureBytes]
}
