package store

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
)

// The kinds of groups.
const (
	GroupRule       = "rule"       // Body is a CEL text
	GroupClassifier = "classifier" // Body is a model in JSON
	GroupCluster    = "cluster"    // Body is the number of a kept cluster, from 1
)

// Group is a segment of shoppers as it is stored.
type Group struct {
	Name, Title, Description string
	Kind                     string
	Body                     string
	Created, Updated         time.Time
}

// The kinds of facts about groups.
const (
	FactClusters = "clusters" // what cluster groups are decided by
	FactGrid     = "grid"     // quintiles of recency, frequency and money
	FactCensus   = "census"   // sizes, one for each time
)

// Groups keeps segments of shoppers. It is safe for concurrent use.
type Groups interface {
	// PutGroup stores a group after those there are, or changes one in its place.
	PutGroup(ctx context.Context, shop features.ShopID, g Group) error
	// ListGroups is all groups in their order.
	ListGroups(ctx context.Context, shop features.ShopID) ([]Group, error)
	// DeleteGroup reports ErrNotFound when there is none of that name.
	DeleteGroup(ctx context.Context, shop features.ShopID, name string) error
	// PutClusters replaces the clusters and their groups, all at once.
	PutClusters(ctx context.Context, shop features.ShopID, body string, groups []Group) error
	// PutFact stores a fact; of the census one for each time, of others the newest.
	PutFact(ctx context.Context, shop features.ShopID, kind string, at time.Time, body string) error
	// Facts is at most limit newest facts of a kind, oldest first.
	Facts(ctx context.Context, shop features.ShopID, kind string, limit int) ([]string, error)
}

var _ Groups = (*Store)(nil)

// PutGroup implements Groups.
func (s *Store) PutGroup(ctx context.Context, shop features.ShopID, g Group) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("put segment: %w", err)
	}
	now := s.now().UnixMilli()
	err := s.writer.do(ctx, func(tx *transaction) error { return putGroup(tx, shop, &g, now) })
	if err != nil {
		return fmt.Errorf("put segment %s: %w", g.Name, err)
	}
	return nil
}

func putGroup(tx *transaction, shop features.ShopID, g *Group, now int64) error {
	_, err := tx.exec(`INSERT INTO groups (shop, name, place, title, description, kind, body, created, updated)
		VALUES (?1, ?2, (SELECT coalesce(max(place), 0) + 1 FROM groups WHERE shop = ?1), ?3, ?4, ?5, ?6, ?7, ?7)
		ON CONFLICT (shop, name) DO UPDATE SET title = excluded.title, description = excluded.description, kind = excluded.kind,
		body = excluded.body, updated = excluded.updated`,
		string(shop), g.Name, g.Title, g.Description, g.Kind, g.Body, now)
	return err
}

// ListGroups implements Groups.
func (s *Store) ListGroups(ctx context.Context, shop features.ShopID) ([]Group, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name, title, description, kind, body, created, updated FROM groups WHERE shop = ? ORDER BY place`, string(shop))
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	defer rows.Close()
	var all []Group
	for rows.Next() {
		var g Group
		var created, updated int64
		if err := rows.Scan(&g.Name, &g.Title, &g.Description, &g.Kind, &g.Body, &created, &updated); err != nil {
			return nil, fmt.Errorf("list segments: %w", err)
		}
		g.Created, g.Updated = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
		all = append(all, g)
	}
	return all, rows.Err()
}

// DeleteGroup implements Groups.
func (s *Store) DeleteGroup(ctx context.Context, shop features.ShopID, name string) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("delete segment: %w", err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		r, err := tx.exec(`DELETE FROM groups WHERE shop = ? AND name = ?`, string(shop), name)
		if err != nil {
			return err
		}
		return oneRow(r)
	})
	if err != nil {
		return fmt.Errorf("delete segment %s: %w", name, err)
	}
	return nil
}

// PutClusters implements Groups.
func (s *Store) PutClusters(ctx context.Context, shop features.ShopID, body string, groups []Group) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("put clusters: %w", err)
	}
	now := s.now().UnixMilli()
	err := s.writer.do(ctx, func(tx *transaction) error {
		if _, err := tx.exec(`DELETE FROM groups WHERE shop = ? AND kind = ?`, string(shop), GroupCluster); err != nil {
			return err
		}
		for i := range groups {
			if err := putGroup(tx, shop, &groups[i], now); err != nil {
				return err
			}
		}
		return putFact(tx, shop, FactClusters, 0, body)
	})
	if err != nil {
		return fmt.Errorf("put clusters: %w", err)
	}
	return nil
}

// PutFact implements Groups.
func (s *Store) PutFact(ctx context.Context, shop features.ShopID, kind string, at time.Time, body string) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("put %s: %w", kind, err)
	}
	ms := int64(0)
	if kind == FactCensus {
		ms = at.UnixMilli()
	}
	if err := s.writer.do(ctx, func(tx *transaction) error { return putFact(tx, shop, kind, ms, body) }); err != nil {
		return fmt.Errorf("put %s: %w", kind, err)
	}
	return nil
}

func putFact(tx *transaction, shop features.ShopID, kind string, ms int64, body string) error {
	_, err := tx.exec(`INSERT INTO group_facts (shop, kind, time, body) VALUES (?, ?, ?, ?)
		ON CONFLICT (shop, kind, time) DO UPDATE SET body = excluded.body`, string(shop), kind, ms, body)
	return err
}

// Facts implements Groups.
func (s *Store) Facts(ctx context.Context, shop features.ShopID, kind string, limit int) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT body FROM (SELECT time, body FROM group_facts WHERE shop = ? AND kind = ?
		ORDER BY time DESC LIMIT ?) ORDER BY time`, string(shop), kind, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("read %s: %w", kind, err)
		}
		all = append(all, body)
	}
	return all, rows.Err()
}
