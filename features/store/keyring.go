package store

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"github.com/attune-rec/attune/features"
	lru "github.com/hashicorp/golang-lru/v2"
	"gocloud.dev/secrets"
	"gocloud.dev/secrets/localsecrets"
)

// cachedKeys is how many persons' data keys are kept unwrapped.
const cachedKeys = 1 << 16

// sealedV1 begins what is encrypted: then 12 bytes of nonce, then AES-256-GCM.
const sealedV1 = 1

type keyOf struct {
	shop features.ShopID
	user features.UserKey // zero: the shop's own
}

// keyring encrypts under one data key a person. The keys lie in data_keys,
// wrapped by the keeper; without its key, what they encrypted is lost.
type keyring struct {
	store  *Store
	keeper *secrets.Keeper
	cache  *lru.Cache[keyOf, *ciphers]
}

// keySize is that of a data key. While data keys are renewed, an old one stands
// behind the new one: see RenewDataKeys.
const keySize = 32

// ciphers are those of a person: the first encrypts, any of them decrypts.
type ciphers struct {
	newest cipher.AEAD
	older  cipher.AEAD // nil but while data keys are renewed
}

func newKey() ([]byte, error) {
	key := make([]byte, keySize)
	_, err := rand.Read(key)
	return key, err
}

func newCiphers(keys []byte) (*ciphers, error) {
	if len(keys) != keySize && len(keys) != 2*keySize {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(keys))
	}
	newest, err := newAEAD(keys[:keySize])
	if err != nil {
		return nil, err
	}
	c := &ciphers{newest: newest}
	if len(keys) > keySize {
		c.older, err = newAEAD(keys[keySize:])
	}
	return c, err
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// open decrypts what any of the keys encrypted.
func (c *ciphers) open(nonce, sealed, associated []byte) ([]byte, error) {
	plain, err := c.newest.Open(nil, nonce, sealed, associated)
	if err != nil && c.older != nil {
		plain, err = c.older.Open(nil, nonce, sealed, associated)
	}
	return plain, err
}

func newKeyring(s *Store, keeper *secrets.Keeper) (*keyring, error) {
	cache, err := lru.New[keyOf, *ciphers](cachedKeys)
	if err != nil {
		return nil, err
	}
	return &keyring{store: s, keeper: keeper, cache: cache}, nil
}

func (k *keyring) close() error { return k.keeper.Close() }

// keeper is the configured one, or one under the key file of the data
// directory, which is made when mayMake.
func (s *Store) keeper(mayMake bool) (*secrets.Keeper, error) {
	if s.opts.Keeper != nil {
		return s.opts.Keeper, nil
	}
	path := s.keyFile()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && mayMake {
		if text, err = s.makeKeyFile(path); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	key, err := localsecrets.Base64KeyStd(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil, fmt.Errorf("master key %s must be 32 bytes in base64: %w", path, err)
	}
	return localsecrets.NewKeeper(key), nil
}

// makeKeyFile makes a key for a new store. A store that has keys wrapped by
// another one must not receive a new one silently.
func (s *Store) makeKeyFile(path string) ([]byte, error) {
	var wrapped int
	if err := s.write.QueryRow(`SELECT (SELECT count(*) FROM shops) + (SELECT count(*) FROM data_keys)`).Scan(&wrapped); err != nil {
		return nil, err
	}
	if wrapped > 0 {
		return nil, fmt.Errorf("%s is missing, and without it personal data cannot be read: restore it from the backup", path)
	}
	key, err := localsecrets.NewRandomKey()
	if err != nil {
		return nil, err
	}
	text := []byte(base64.StdEncoding.EncodeToString(key[:]) + "\n")
	if err := writeDurable(path, func(f *os.File) error { _, err := f.Write(text); return err }); err != nil {
		return nil, err
	}
	return text, nil
}

// encrypt returns plain encrypted under the person's data key, which is made
// when there is none; the zero user stands for the shop itself. What names the
// column and keeps a value from being moved to another.
func (k *keyring) encrypt(ctx context.Context, shop features.ShopID, user features.UserKey, what string, plain []byte) ([]byte, error) {
	if len(plain) == 0 {
		return nil, nil
	}
	keys, err := k.get(ctx, shop, user, true)
	if err != nil {
		return nil, err
	}
	aead := keys.newest
	out := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(plain)+aead.Overhead())
	out[0] = sealedV1
	if _, err := rand.Read(out[1:]); err != nil {
		return nil, err
	}
	return aead.Seal(out, out[1:], plain, // #nosec G407 -- the nonce was just read from crypto/rand
		associated(shop, user, what)), nil
}

// decrypt returns what encrypt was given; nil when the person's key has been
// destroyed.
func (k *keyring) decrypt(ctx context.Context, shop features.ShopID, user features.UserKey, what string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	keys, err := k.get(ctx, shop, user, false)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := 1 + keys.newest.NonceSize()
	if len(sealed) < n || sealed[0] != sealedV1 {
		return nil, fmt.Errorf("%w: %s of %s is not in a known encrypted form", ErrCorrupt, what, user)
	}
	plain, err := keys.open(sealed[1:n], sealed[n:], associated(shop, user, what))
	if err != nil {
		return nil, fmt.Errorf("%w: %s of %s does not open under its key", ErrCorrupt, what, user)
	}
	return plain, nil
}

func associated(shop features.ShopID, user features.UserKey, what string) []byte {
	ad := make([]byte, 0, len(shop)+len(user)+len(what)+2)
	ad = append(append(ad, shop...), 0)
	ad = append(append(ad, what...), 0)
	return append(ad, user[:]...)
}

// get is the person's ciphers; ErrNotFound when there is no key, or no longer.
func (k *keyring) get(ctx context.Context, shop features.ShopID, user features.UserKey, mayMake bool) (*ciphers, error) {
	id := keyOf{shop, user}
	if a, ok := k.cache.Get(id); ok {
		return a, nil
	}
	wrapped, err := k.wrapped(ctx, id)
	if errors.Is(err, ErrNotFound) && mayMake {
		wrapped, err = k.make(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	key, err := k.keeper.Decrypt(ctx, wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap a data key of shop %s: is this the master key it was made with? %w", shop, err)
	}
	c, err := newCiphers(key)
	clear(key)
	if err != nil {
		return nil, fmt.Errorf("a data key of shop %s: %w", shop, err)
	}
	k.cache.Add(id, c)
	return c, nil
}

func (k *keyring) wrapped(ctx context.Context, id keyOf) ([]byte, error) {
	var wrapped []byte
	err := k.store.read.QueryRowContext(ctx, `SELECT wrapped FROM data_keys WHERE shop = ? AND user_key = ?`,
		string(id.shop), keyBytes(id.user)).Scan(&wrapped)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && len(wrapped) == 0) {
		return nil, ErrNotFound
	}
	return wrapped, err
}

// ensure makes the keys that are missing in one transaction, where encrypt
// would need one each.
func (k *keyring) ensure(ctx context.Context, shop features.ShopID, users []features.UserKey) error {
	made := map[features.UserKey][]byte{}
	for _, u := range users {
		id := keyOf{shop, u}
		if _, ok := made[u]; ok || k.cache.Contains(id) {
			continue
		}
		_, err := k.wrapped(ctx, id)
		if errors.Is(err, ErrNotFound) {
			made[u], err = k.fresh(ctx, shop)
		}
		if err != nil {
			return err
		}
	}
	if len(made) < 2 {
		return nil
	}
	return k.store.writer.do(ctx, func(tx *transaction) error {
		for u, wrapped := range made {
			if err := k.put(tx, keyOf{shop, u}, wrapped); err != nil {
				return err
			}
		}
		return nil
	})
}

// make stores a new key and returns it, or the one that another call made
// meanwhile. A destroyed key is replaced: what it encrypted stays lost.
func (k *keyring) make(ctx context.Context, id keyOf) ([]byte, error) {
	if err := k.store.writable(); err != nil {
		return nil, err
	}
	wrapped, err := k.fresh(ctx, id.shop)
	if err != nil {
		return nil, err
	}
	if err := k.store.writer.do(ctx, func(tx *transaction) error { return k.put(tx, id, wrapped) }); err != nil {
		return nil, err
	}
	return k.wrapped(ctx, id)
}

// fresh is a new random key, wrapped.
func (k *keyring) fresh(ctx context.Context, shop features.ShopID) ([]byte, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	wrapped, err := k.keeper.Encrypt(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("wrap a data key of shop %s: %w", shop, err)
	}
	return wrapped, nil
}

func (k *keyring) put(tx *transaction, id keyOf, wrapped []byte) error {
	_, err := tx.exec(`INSERT INTO data_keys (shop, user_key, wrapped, created) VALUES (?, ?, ?, ?)
		ON CONFLICT (shop, user_key) DO UPDATE SET wrapped = excluded.wrapped, created = excluded.created, destroyed = 0
		WHERE length(data_keys.wrapped) = 0`,
		string(id.shop), keyBytes(id.user), wrapped, k.store.now().UnixMilli())
	return err
}

// forget drops the cached key of a person whose key was destroyed.
func (k *keyring) forget(shop features.ShopID, user features.UserKey) {
	k.cache.Remove(keyOf{shop, user})
}

// keyBytes is how a key is stored: 16 bytes, or none for nobody.
func keyBytes(k features.UserKey) []byte {
	if k.IsZero() {
		return []byte{}
	}
	return k[:]
}

func keyFrom(b []byte) (k features.UserKey, err error) {
	if len(b) != 0 && len(b) != len(k) {
		return k, fmt.Errorf("%w: a user key of %d bytes", ErrCorrupt, len(b))
	}
	copy(k[:], b)
	return k, nil
}
