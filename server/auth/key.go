package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/attune-rec/attune/features/store"
)

// A key is "attune_" + 16 hexadecimal digits of its id + "_" + 64 of its secret:
// 256 random bits, so that a plain SHA-256 of it can be kept.
const (
	keyPrefix   = "attune_"
	idDigits    = 16
	secretBytes = 32
)

// ErrKey is returned for what is not a key.
var ErrKey = errors.New("not a key: expected attune_<id>_<secret>")

// NewKey makes a key: what its owner is shown once, and what is kept of it.
func NewKey() (text, id string, hash []byte, err error) {
	var b [idDigits/2 + secretBytes]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", "", nil, err
	}
	id = hex.EncodeToString(b[:idDigits/2])
	sum := sha256.Sum256(b[idDigits/2:])
	return keyPrefix + id + "_" + hex.EncodeToString(b[idDigits/2:]), id, sum[:], nil
}

// ParseKey takes a key apart into its id and the hash of its secret.
func ParseKey(text string) (id string, hash []byte, err error) {
	rest, ok := strings.CutPrefix(text, keyPrefix)
	id, secret, found := strings.Cut(rest, "_")
	if !ok || !found || len(id) != idDigits || len(secret) != 2*secretBytes {
		return "", nil, ErrKey
	}
	b, err := hex.DecodeString(secret)
	if err != nil {
		return "", nil, ErrKey
	}
	if _, err := hex.DecodeString(id); err != nil {
		return "", nil, ErrKey
	}
	sum := sha256.Sum256(b)
	return id, sum[:], nil
}

// KeySource is where keys are kept.
type KeySource interface {
	Get(ctx context.Context, id string) (store.APIKey, error)
	Any(ctx context.Context) (bool, error)
}

// A key that was made, changed or revoked counts so after this long at most.
const keyAge = time.Second

const keysCached = 4096

// keys knows the keys of a source, as they were a moment ago.
type keys struct {
	source KeySource
	now    func() time.Time
	known  *lru.Cache[string, knownKey]
	some   atomic.Bool  // there was a key: that stays so
	asked  atomic.Int64 // when there was none, Unix milliseconds
	asking atomic.Bool  // somebody looks again, before that is too old
}

type knownKey struct {
	key  store.APIKey
	ok   bool
	read time.Time
}

func newKeys(source KeySource, now func() time.Time) (*keys, error) {
	known, err := lru.New[string, knownKey](keysCached)
	if err != nil {
		return nil, err
	}
	return &keys{source: source, now: now, known: known}, nil
}

// inUse reports whether a key was ever made.
func (k *keys) inUse(ctx context.Context) (bool, error) {
	now := k.now().UnixMilli()
	if k.some.Load() {
		return true, nil
	}
	// Callers who come together do not all look: one does while what is known holds,
	// and the others go by that.
	switch at := k.asked.Load(); {
	case at != 0 && now-at < keyAge.Milliseconds()/2:
		return false, nil
	case at != 0 && now-at < keyAge.Milliseconds():
		if !k.asking.CompareAndSwap(false, true) {
			return false, nil
		}
		defer k.asking.Store(false)
	}
	some, err := k.source.Any(ctx)
	if err != nil {
		return false, err
	}
	if some {
		k.some.Store(true)
	} else {
		k.asked.Store(now)
	}
	return some, nil
}

func (k *keys) get(ctx context.Context, id string) (knownKey, error) {
	now := k.now()
	if e, ok := k.known.Get(id); ok && now.Sub(e.read) < keyAge {
		return e, nil
	}
	key, err := k.source.Get(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return knownKey{}, err
	}
	e := knownKey{key: key, ok: err == nil, read: now}
	k.known.Add(id, e)
	return e, nil
}

// caller is whose key text is.
func (k *keys) caller(ctx context.Context, text string) (*Caller, error) {
	id, hash, err := ParseKey(text)
	if err != nil {
		return nil, refuse("KEY_INVALID", "the key is malformed: send it as it was shown: attune_<id>_<secret>")
	}
	e, err := k.get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	switch {
	case !e.ok, subtle.ConstantTimeCompare(hash, e.key.Hash) != 1:
		return nil, refuse("KEY_INVALID", "the key is not known: ask for one with 'server keys create'")
	case !e.key.Revoked.IsZero():
		return nil, refuse("KEY_REVOKED", "the key was revoked: use the one that replaced it")
	case !e.key.Expires.IsZero() && !k.now().Before(e.key.Expires):
		return nil, refuse("KEY_EXPIRED", "the key has expired: ask for a new one with 'server keys create'")
	}
	return &Caller{
		ID: "key:" + id, Shops: e.key.Shops, Roles: rolesOf(e.key.Roles), Rate: e.key.Rate, MaxBytes: e.key.MaxBytes,
	}, nil
}
