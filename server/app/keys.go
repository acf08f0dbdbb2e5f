package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/auth"
)

// Keys are the commands on the keys that programs call the server with. They
// work beside a running server, which takes a change within a second.
type Keys struct {
	Create KeysCreate `cmd:"" help:"Make a key and show it, once."`
	List   KeysList   `cmd:"" help:"List keys; what they are made of is not kept."`
	Revoke KeysRevoke `cmd:"" help:"End a key."`

	RotateMaster KeysRotateMaster `cmd:"" help:"Make a new master key and wrap every person's data key by it. The server must be stopped."`
	RenewData    KeysRenewData    `cmd:"" help:"Make a new data key for every person and encrypt anew by it what the old one had. The server must be stopped."`
}

// KeysCreate makes a key.
type KeysCreate struct {
	Name     string        `help:"What it is for." required:"" placeholder:"NAME"`
	Role     []string      `help:"What it may do: admin, analyst, frontend, ingest, marketer, ml_engineer, privacy_officer." required:"" placeholder:"ROLE"`
	Shop     []string      `help:"Shops it is good for; * is every shop." default:"default" placeholder:"SHOP"`
	Expires  time.Duration `help:"How long it is good for; 0: until it is revoked." default:"2160h"`
	Rate     float64       `help:"Calls a second; 0: as --key-rate says."`
	MaxBytes int64         `help:"Bytes of a request at most; 0: as --max-message says."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// KeysList lists keys.
type KeysList struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// KeysRevoke ends a key.
type KeysRevoke struct {
	ID string `arg:"" help:"The key's id: the middle part of it."`
}

// KeysRotateMaster makes a new master key.
type KeysRotateMaster struct{}

// KeysRenewData makes new data keys.
type KeysRenewData struct{}

// shownKey is a key as the commands show it.
type shownKey struct {
	ID      string            `json:"id"`
	Key     string            `json:"key,omitempty"` // once
	Name    string            `json:"name"`
	Shops   []features.ShopID `json:"shops"`
	Roles   []string          `json:"roles"`
	Created time.Time         `json:"created"`
	Expires time.Time         `json:"expires,omitzero"`
	Revoked time.Time         `json:"revoked,omitzero"`
}

func (k *shownKey) state(now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked " + k.Revoked.Format(time.DateOnly)
	case k.Expires.IsZero():
		return "no expiry"
	case !now.Before(k.Expires):
		return "expired " + k.Expires.Format(time.DateOnly)
	}
	return "until " + k.Expires.Format(time.DateOnly)
}

func openKeys(ctx context.Context, c *Config) (*store.Keys, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, explain(c.Data, err)
	}
	k, err := store.OpenKeys(ctx, store.Options{Dir: c.Data, Logger: slog.New(slog.DiscardHandler)})
	return k, explain(c.Data, err)
}

// Run makes the key and writes it to w.
func (k *KeysCreate) Run(ctx context.Context, c *Config, w io.Writer) (err error) {
	key := store.APIKey{Name: k.Name, Rate: k.Rate, MaxBytes: k.MaxBytes, Created: time.Now().UTC().Truncate(time.Millisecond)}
	for _, name := range k.Role {
		r, err := auth.ParseRole(name)
		if err != nil {
			return fmt.Errorf("--role: %w", err)
		}
		key.Roles = append(key.Roles, auth.RoleName(r))
	}
	for _, name := range k.Shop {
		if shop := features.ShopID(name); shop != store.AllShops {
			if err := shop.Validate(); err != nil {
				return fmt.Errorf("--shop: %w", err)
			}
		}
		key.Shops = append(key.Shops, features.ShopID(name))
	}
	if k.Expires < 0 || k.Rate < 0 || k.MaxBytes < 0 {
		return errors.New("--expires, --rate and --max-bytes: expected 0 or more")
	}
	if k.Expires > 0 {
		key.Expires = key.Created.Add(k.Expires)
	}
	text, id, hash, err := auth.NewKey()
	if err != nil {
		return err
	}
	key.ID, key.Hash = id, hash
	keys, err := openKeys(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	detail := fmt.Sprintf("%s: %s, %s", key.Name, strings.Join(key.Roles, "+"), (&shownKey{Expires: key.Expires}).state(key.Created))
	if err := keys.Audit(ctx, key.Shops, store.Audited{Actor: operator(), Method: "create key", Subject: "key:" + id, Detail: detail}); err != nil {
		return err
	}
	if err := keys.Put(ctx, key); err != nil {
		return err
	}
	if k.JSON {
		return json.NewEncoder(w).Encode(shown(&key, text))
	}
	_, err = fmt.Fprintf(w, "%s\n\nThis is shown once. Send it as 'Authorization: Bearer <key>'; end it with 'server keys revoke %s'.\n", text, id)
	return err
}

func shown(k *store.APIKey, text string) *shownKey {
	return &shownKey{ID: k.ID, Key: text, Name: k.Name, Shops: k.Shops, Roles: k.Roles, Created: k.Created, Expires: k.Expires, Revoked: k.Revoked}
}

// Run writes the keys to w.
func (k *KeysList) Run(ctx context.Context, c *Config, w io.Writer) (err error) {
	keys, err := openKeys(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	all, err := keys.List(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if !k.JSON {
		fmt.Fprintln(table, "ID\tNAME\tSHOPS\tROLES\tSTATE")
	}
	for i := range all {
		s := shown(&all[i], "")
		if k.JSON {
			err = json.NewEncoder(w).Encode(s)
		} else {
			shops := make([]string, len(s.Shops))
			for n, shop := range s.Shops {
				shops[n] = string(shop)
			}
			_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.ID, s.Name, strings.Join(shops, ","), strings.Join(s.Roles, ","), s.state(time.Now()))
		}
		if err != nil {
			return err
		}
	}
	return table.Flush()
}

// Run ends the key.
func (k *KeysRevoke) Run(ctx context.Context, c *Config, w io.Writer) (err error) {
	keys, err := openKeys(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	key, err := keys.Get(ctx, k.ID)
	if err != nil {
		return fmt.Errorf("revoke %s: %w", k.ID, err)
	}
	if err := keys.Audit(ctx, key.Shops, store.Audited{Actor: operator(), Method: "revoke key", Subject: "key:" + k.ID, Detail: key.Name}); err != nil {
		return err
	}
	if err := keys.Revoke(ctx, k.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "revoked %s: a running server refuses it within a second\n", k.ID)
	return err
}

// Run makes the new master key.
func (*KeysRotateMaster) Run(ctx context.Context, c *Config, w io.Writer) error {
	if err := noted(ctx, c, "rotate master key", ""); err != nil {
		return err
	}
	n, err := store.RotateMasterKey(ctx, store.Options{Dir: c.Data, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return explain(c.Data, err)
	}
	_, err = fmt.Fprintf(w, "%d keys are wrapped by a new master key: back up %s, and keep the old one only as long as backups from before\n", n, filepath.Join(c.Data, "master.key"))
	return err
}

// Run makes the new data keys.
func (*KeysRenewData) Run(ctx context.Context, c *Config, w io.Writer) error {
	if err := noted(ctx, c, "renew data keys", ""); err != nil {
		return err
	}
	n, err := store.RenewDataKeys(ctx, store.Options{Dir: c.Data, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return explain(c.Data, err)
	}
	_, err = fmt.Fprintf(w, "%d persons and shops have new data keys, and what the old ones encrypted is encrypted anew: backups from before still open with them\n", n)
	return err
}

// noted writes down what an operator does to every shop, before it is done.
func noted(ctx context.Context, c *Config, method, subject string) (err error) {
	keys, err := openKeys(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	return keys.Audit(ctx, []features.ShopID{store.AllShops}, store.Audited{Actor: operator(), Method: method, Subject: subject})
}

// operator is who runs a command, as the audit log calls them.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return fmt.Sprintf("operator:%d", os.Getuid())
	}
	return "operator:" + u.Username
}
