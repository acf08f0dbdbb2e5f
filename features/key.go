package features

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// ShopID names a shop (a tenant): 1 to 63 of the characters a-z, 0-9 and '-',
// beginning with a letter or digit. It is part of every key that is stored.
type ShopID string

// DefaultShop is the shop meant when a caller names none.
const DefaultShop ShopID = "default"

// ErrShopID is returned for a name that cannot be a shop's.
var ErrShopID = errors.New("shop id must be 1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit")

// Validate reports ErrShopID when s cannot name a shop.
func (s ShopID) Validate() error {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' {
		return fmt.Errorf("%w: got %q", ErrShopID, string(s))
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%w: got %q", ErrShopID, string(s))
		}
	}
	return nil
}

// UserKey is the pseudonym of one person (or of one anonymous session) in one
// shop: 128 bits of a keyed hash of the id the shop uses. The zero key is
// nobody. Only the edge, which knows the shop's secret, can make one.
type UserKey [16]byte

// IsZero reports whether k names nobody.
func (k UserKey) IsZero() bool { return k == UserKey{} }

// String is 32 hexadecimal digits.
func (k UserKey) String() string { return hex.EncodeToString(k[:]) }

// ParseUserKey reads what String wrote.
func ParseUserKey(s string) (UserKey, error) {
	var k UserKey
	if len(s) != 2*len(k) {
		return UserKey{}, fmt.Errorf("user key must be %d hexadecimal digits: got %d characters", 2*len(k), len(s))
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return UserKey{}, fmt.Errorf("user key must be hexadecimal: %w", err)
	}
	return k, nil
}

// Pseudonyms turns the ids a shop uses into keys, by HMAC-SHA256 (RFC 2104)
// under the shop's secret, truncated to 128 bits. It is immutable and safe for
// concurrent use.
type Pseudonyms struct{ inner, outer [sha256.BlockSize]byte } // the secret under both pads

// NewPseudonyms returns the pseudonyms made under secret, which must have at
// least 16 bytes and never change for the life of the shop's data.
func NewPseudonyms(secret []byte) (*Pseudonyms, error) {
	if len(secret) < 16 {
		return nil, fmt.Errorf("pseudonym secret must have at least 16 bytes: got %d", len(secret))
	}
	p := &Pseudonyms{}
	if len(secret) > sha256.BlockSize {
		sum := sha256.Sum256(secret)
		secret = sum[:]
	}
	copy(p.inner[:], secret)
	copy(p.outer[:], secret)
	for i := range p.inner {
		p.inner[i] ^= 0x36
		p.outer[i] ^= 0x5c
	}
	return p, nil
}

// User is the key of the person the shop calls id; zero for the empty id.
func (p *Pseudonyms) User(id string) UserKey { return p.key("user", id) }

// Session is the key of an anonymous session; it never equals a user's.
func (p *Pseudonyms) Session(id string) UserKey { return p.key("session", id) }

// DeviceUser is the user that a device is named as where no more is known of
// who uses it.
func DeviceUser(id string) string { return "device:" + id }

// EmailUser is the user that a hashed e-mail is named as: digits are the SHA-256
// of the trimmed address in lower case, hexadecimal in lower case.
func EmailUser(digits string) string { return "email:" + digits }

func (p *Pseudonyms) key(kind, id string) UserKey {
	if id == "" {
		return UserKey{}
	}
	var room [512]byte // an id seldom has more: nothing is allocated
	b := append(room[:0], p.inner[:]...)
	b = append(b, kind...)
	b = append(b, 0)
	b = append(b, id...)
	sum := sha256.Sum256(b)
	b = append(append(room[:0], p.outer[:]...), sum[:]...)
	sum = sha256.Sum256(b)
	return UserKey(sum[:len(UserKey{})])
}
