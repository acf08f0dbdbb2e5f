package shop

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
)

// marker stands before the ids of items that only one release knows.
const marker = "marker-"

// Marker reports the release, by the name it was made with, that alone has an
// item of this id.
func Marker(id string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(id, marker)
	if !ok {
		return "", false
	}
	name, _, ok = strings.Cut(rest, "-")
	return name, ok
}

// Another publishes one more release of the shop that Make made in dir, and
// promotes nothing. It has items of its own, which are in no other release and
// not in the store: twins of the best known of each shelf, to which every other
// event of theirs is given. So they stand in many answers, and tell which
// release one is of.
func Another(ctx context.Context, dir string, s Size, factors int, name string, tell func(stage string, took time.Duration)) (version string, err error) {
	if name == "" || strings.Contains(name, "-") {
		return "", fmt.Errorf("a release called %q: expected a name without -", name)
	}
	began := time.Now()
	goods, acts := s.goods(), s.acts()
	goods, acts = twins(name, goods, acts, s.kinds())
	return s.publish(ctx, release.NewFolder(filepath.Join(dir, "releases")), factors, goods, acts, func(stage string) {
		tell(stage, time.Since(began))
		began = time.Now()
	})
}

// twins is goods with a twin of each of the first n, which has every other act
// of it.
func twins(name string, goods []features.Item, acts []act, n int) ([]features.Item, []act) {
	all := slices.Clone(goods)
	for i := range n {
		it := goods[i]
		it.ID, it.Group = fmt.Sprintf("%s%s-%d", marker, name, i), ""
		all = append(all, it)
	}
	acts = slices.Clone(acts)
	for i, odd := 0, make([]bool, n); i < len(acts); i++ {
		if item := int(acts[i].item); item < n {
			if odd[item] = !odd[item]; odd[item] {
				acts[i].item = int32(len(goods) + item) // #nosec G115 -- a few hundred more than the goods
			}
		}
	}
	return all, acts
}
