package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
)

// ErrSensitive is returned for an attribute of persons that the shop holds to be
// sensitive, where what it is asked for is not recorded.
var ErrSensitive = errors.New("attribute is declared sensitive")

// ForFairness is the purpose of comparing answers by group.
const ForFairness = "fairness"

// Attribute is a value of a person by its name: "gender", or
// "attributes.shoe_size"; "" where the person has none. False: no person has
// such an attribute.
func (u *User) Attribute(name string) (string, bool) {
	p := &u.Personal
	if own, ok := strings.CutPrefix(name, "attributes."); ok && own != "" {
		return p.Attributes[own], true
	}
	switch name {
	case "age_band":
		return p.AgeBand, true
	case "gender":
		return p.Gender, true
	case "region":
		return p.Region, true
	case "occupation":
		return p.Occupation, true
	case "income_band":
		return p.IncomeBand, true
	case "payment":
		return p.Payment, true
	case "delivery":
		return p.Delivery, true
	case "home_market":
		return u.Market, true
	case "language":
		if len(u.Languages) > 0 {
			return u.Languages[0], true
		}
		return "", true
	}
	return "", false
}

// CheckAttribute reports a name that Attribute does not know.
func CheckAttribute(name string) error {
	if _, ok := new(User).Attribute(name); !ok {
		return fmt.Errorf("unknown attribute %q: expected age_band, gender, region, occupation, income_band, payment, delivery, home_market, language, or attributes.NAME", name)
	}
	return nil
}

// SetSensitive declares the attributes of persons that the shop holds to be
// sensitive, and no others: by name, with the purposes that are recorded for
// them, joined by +; "" is none.
func (s *Store) SetSensitive(ctx context.Context, shop features.ShopID, by map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if err := CheckAttribute(name); err != nil {
			return fmt.Errorf("sensitive: %w", err)
		}
	}
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("sensitive: %w", err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		if _, err := tx.exec(`DELETE FROM sensitive WHERE shop = ?`, string(shop)); err != nil {
			return err
		}
		for name, purpose := range by {
			if _, err := tx.exec(`INSERT INTO sensitive (shop, attribute, purpose, declared) VALUES (?, ?, ?, ?)`,
				string(shop), name, purpose, s.now().UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sensitive: %w", err)
	}
	return nil
}

// Sensitive is what the shop declared, as SetSensitive takes it.
func (s *Store) Sensitive(ctx context.Context, shop features.ShopID) (map[string]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT attribute, purpose FROM sensitive WHERE shop = ?`, string(shop))
	if err != nil {
		return nil, fmt.Errorf("sensitive: %w", err)
	}
	defer rows.Close()
	by := map[string]string{}
	for rows.Next() {
		var name, purpose string
		if err := rows.Scan(&name, &purpose); err != nil {
			return nil, fmt.Errorf("sensitive: %w", err)
		}
		by[name] = purpose
	}
	return by, rows.Err()
}

// Attribute opens an attribute of the shop's persons to models and to what
// judges them, for the purpose named; it is the only way there. ErrSensitive
// where the shop declared the attribute and did not record that purpose for it.
// What it returns gives a person's value, "" where there is none.
func (s *Store) Attribute(ctx context.Context, shop features.ShopID, name, purpose string) (func(context.Context, features.UserKey) (string, error), error) {
	if err := CheckAttribute(name); err != nil {
		return nil, err
	}
	by, err := s.Sensitive(ctx, shop)
	if err != nil {
		return nil, err
	}
	if recorded, declared := by[name]; declared && !slices.Contains(strings.Split(recorded, "+"), purpose) {
		return nil, fmt.Errorf("%w: %s of shop %s is not recorded for %s: start the server with --sensitive %s/%s=%s once to record it", ErrSensitive, name, shop, purpose, shop, name, purpose)
	}
	return func(ctx context.Context, key features.UserKey) (string, error) {
		u, err := s.GetUser(ctx, shop, key)
		if errors.Is(err, ErrNotFound) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		v, _ := u.Attribute(name)
		return v, nil
	}, nil
}
