package milvus

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	sdk "github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/milvus-io/milvus-sdk-go/v2/entity"
)

const (
	rowField   = "row"
	vecField   = "vec"
	attrPrefix = "attr_"
	// saidMark stands between the fingerprints of vectors and words.
	saidMark = ", words "
)

// Name says whose vectors a collection has: a model's, in a release of a shop.
type Name struct {
	Shop    features.ShopID
	Model   string
	Version string // of the release
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// plain is s in what Milvus allows in names, told apart by a checksum.
func plain(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	s := unfit.ReplaceAllString(strings.Join(parts, "_"), "_")
	return s[:min(len(s), 180)] + "_" + hex.EncodeToString(sum[:6])
}

// family begins the names of all collections of a shop's model.
func (n Name) family() string { return "attune_" + plain(string(n.Shop), n.Model) }

func (n Name) collection() string { return n.family() + "_v_" + plain(n.Version) }

func (n Name) alias() string { return n.family() + "_published" }

// Rows is what is published.
type Rows struct {
	Vectors []float32 // row-major
	Dim     int
	// Attr gives the values of a row, none or several, by the attribute's name: what
	// models.Where.Attr asks by. Names are of a-z, 0-9 and '_'. It is asked again
	// for each row when a collection is filled and when it is opened, and must say
	// the same.
	Attr map[string]func(row int) []string
}

var attrName = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

func (r *Rows) count() int { return len(r.Vectors) / r.Dim }

func (r *Rows) shape() error {
	if r.Dim <= 0 || len(r.Vectors) == 0 || len(r.Vectors)%r.Dim != 0 {
		return fmt.Errorf("%w: %d numbers are not rows of dimension %d", ErrRows, len(r.Vectors), r.Dim)
	}
	return nil
}

func (r *Rows) check() error {
	if err := r.shape(); err != nil {
		return err
	}
	if r.Dim >= 32768 {
		return fmt.Errorf("%w: dimension %d: Milvus takes less than 32768", ErrRows, r.Dim)
	}
	for i, v := range r.Vectors {
		if v-v != 0 {
			return fmt.Errorf("%w: row %d has %v: expected finite numbers", ErrRows, i/r.Dim, v)
		}
	}
	for name := range r.Attr {
		if !attrName.MatchString(name) {
			return fmt.Errorf("%w: attribute %q: expected a name of a-z, 0-9 and '_'", ErrRows, name)
		}
	}
	return nil
}

// Put makes the collection of a release: it inserts all rows, flushes, indexes
// and loads them, in this order, and looks whether they are all there. What an
// earlier, broken off Put left is replaced. Nothing is published yet.
func (c *Client) Put(ctx context.Context, name Name, r Rows, progress func(done, total int)) error {
	if err := r.check(); err != nil {
		return err
	}
	if err := c.Drop(ctx, name); err != nil {
		return err
	}
	collection, said := name.collection(), newWords(pace.Of(ctx), r.count(), r.Attr)
	err := c.steps(ctx, collection, []step{
		{"create", c.c.Admin, func(ctx context.Context) error {
			return c.sdk.CreateCollection(ctx, r.schema(collection, said), int32(c.c.Shards), sdk.WithConsistencyLevel(levels[c.c.Consistency]))
		}},
		{"insert", c.c.Publish, func(ctx context.Context) error { return c.insert(ctx, collection, r, said, progress) }},
		{"flush", c.c.Publish, func(ctx context.Context) error { return c.sdk.Flush(ctx, collection, false) }},
	})
	if err != nil {
		return err
	}
	x, err := c.open(ctx, name, r, said)
	if err != nil {
		return err
	}
	return c.load(ctx, x)
}

// load indexes and loads a collection that has all its rows, as far as that was
// not done before, and waits until it answers.
func (c *Client) load(ctx context.Context, x *Index) error {
	err := c.steps(ctx, x.collection, []step{
		{"index", c.c.Publish, func(ctx context.Context) error {
			ix, err := entity.NewIndexHNSW(entity.L2, c.c.M, c.c.Build)
			if err != nil {
				return err
			}
			return c.sdk.CreateIndex(ctx, x.collection, vecField, ix, false)
		}},
		{"load", c.c.Publish, func(ctx context.Context) error {
			return c.sdk.LoadCollection(ctx, x.collection, false, sdk.WithReplicaNumber(int32(c.c.Replicas)))
		}},
	})
	if err != nil {
		return err
	}
	return c.ready(ctx, x)
}

// Ensure makes the collection of a release unless it is there and of these very
// vectors, whatever it was told in words; one that an earlier Put left unloaded is
// loaded.
func (c *Client) Ensure(ctx context.Context, name Name, r Rows, progress func(done, total int)) error {
	there := false
	err := within(ctx, c.c.Admin, func(ctx context.Context) (err error) {
		there, err = c.sdk.HasCollection(ctx, name.collection())
		return err
	})
	if err != nil {
		return fmt.Errorf("look for %s: %w: %w", name.collection(), ErrMilvus, err)
	}
	if there {
		x, err := c.Open(ctx, name, r)
		if err == nil {
			return c.load(ctx, x)
		}
		if !errors.Is(err, ErrMismatch) {
			return err
		}
	}
	return c.Put(ctx, name, r, progress)
}

// step is a part of publishing with its time.
type step struct {
	what  string
	limit time.Duration
	do    func(ctx context.Context) error
}

func (c *Client) steps(ctx context.Context, collection string, all []step) error {
	for _, s := range all {
		if err := within(ctx, s.limit, s.do); err != nil {
			return fmt.Errorf("%s %s: %w: %w", s.what, collection, ErrMilvus, err)
		}
	}
	return nil
}

// ready searches until the collection answers: a loaded one may still say that
// it is not.
func (c *Client) ready(ctx context.Context, x *Index) error {
	ctx, cancel := context.WithTimeout(ctx, c.c.Ready)
	defer cancel()
	for {
		_, err := x.Search(ctx, x.vecs[:x.dim], 1, models.Where{}, nil)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (r *Rows) schema(collection string, said *words) *entity.Schema {
	is := fingerprint(r.Vectors, r.Dim)
	if s := said.fingerprint(); s != "" {
		is += saidMark + s
	}
	s := entity.NewSchema().WithName(collection).WithDescription(is).
		WithField(entity.NewField().WithName(rowField).WithIsPrimaryKey(true).WithDataType(entity.FieldTypeInt64)).
		WithField(entity.NewField().WithName(vecField).WithDataType(entity.FieldTypeFloatVector).WithDim(int64(r.Dim + 1)))
	for _, name := range said.names() {
		s.WithField(entity.NewField().WithName(attrPrefix + name).WithDataType(entity.FieldTypeInt64))
	}
	return s
}

// fingerprint tells these vectors from any others. It stands in the collection's
// description, so that a collection of another training, under whatever name, is
// never searched in place of a release's own.
func fingerprint(vecs []float32, dim int) string {
	h := sha256.New()
	var b []byte
	for lo := 0; lo < len(vecs); lo += 1 << 14 {
		b = b[:0]
		for _, v := range vecs[lo:min(lo+1<<14, len(vecs))] {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		h.Write(b)
	}
	return fmt.Sprintf("attune: %d rows of dimension %d, sha256 %x", len(vecs)/max(dim, 1), dim, h.Sum(nil)[:16])
}

// insert sends the rows with one more coordinate, sqrt(M²-|x|²), which makes
// the nearest of them the one with the largest inner product: Milvus's graph is
// for distances. M is the length of the longest row that a search does not scan.
func (c *Client) insert(ctx context.Context, collection string, r Rows, said *words, progress func(done, total int)) error {
	n := len(r.Vectors) / r.Dim
	_, most := longest(r.Vectors, r.Dim)
	for lo := 0; lo < n; lo += c.c.Batch {
		hi := min(lo+c.c.Batch, n)
		ids, vecs := make([]int64, 0, hi-lo), make([][]float32, 0, hi-lo)
		for i := lo; i < hi; i++ {
			x := r.Vectors[i*r.Dim:][:r.Dim]
			extra := float32(math.Sqrt(float64(max(most-linalg.Dot(x, x), 0))))
			ids = append(ids, int64(i))
			vecs = append(vecs, append(append(make([]float32, 0, r.Dim+1), x...), extra))
		}
		columns := []entity.Column{entity.NewColumnInt64(rowField, ids), entity.NewColumnFloatVector(vecField, r.Dim+1, vecs)}
		for _, name := range said.names() {
			classes := make([]int64, 0, hi-lo)
			for _, c := range said.of[name].class[lo:hi] {
				classes = append(classes, int64(c))
			}
			columns = append(columns, entity.NewColumnInt64(attrPrefix+name, classes))
		}
		err := within(ctx, c.c.Admin, func(ctx context.Context) error {
			_, err := c.sdk.Insert(ctx, collection, "", columns...)
			return err
		})
		if err != nil {
			return err
		}
		if progress != nil {
			progress(hi, n)
		}
	}
	return nil
}

// Publish points the alias at the collection of a release, which Put made, and
// drops those of the same shop and model that are neither it nor the one that
// was published before: that stays loaded, so that publishing it again is a
// rollback. Those of the releases in keep stay too.
func (c *Client) Publish(ctx context.Context, name Name, keep ...string) error {
	before, published, err := c.Published(ctx, name)
	if err != nil {
		return err
	}
	collection := name.collection()
	err = within(ctx, c.c.Admin, func(ctx context.Context) error {
		if published {
			return c.sdk.AlterAlias(ctx, collection, name.alias())
		}
		return c.sdk.CreateAlias(ctx, collection, name.alias())
	})
	if err != nil {
		return fmt.Errorf("publish %s: %w: %w", collection, ErrMilvus, err)
	}
	if before == collection {
		return nil // and nothing else has changed
	}
	all, err := c.collections(ctx, name)
	if err != nil {
		return err
	}
	stay := map[string]bool{collection: true, before: true}
	for _, version := range keep {
		stay[Name{Shop: name.Shop, Model: name.Model, Version: version}.collection()] = true
	}
	var errs []error
	for _, other := range all {
		if !stay[other] {
			errs = append(errs, c.drop(ctx, name, other))
		}
	}
	return errors.Join(errs...)
}

// Published is the collection that the alias of name's shop and model points
// to; false when there is no alias.
func (c *Client) Published(ctx context.Context, name Name) (collection string, ok bool, err error) {
	err = within(ctx, c.c.Admin, func(ctx context.Context) error {
		if ok, err = c.sdk.HasCollection(ctx, name.alias()); err != nil || !ok {
			return err
		}
		info, err := c.sdk.DescribeCollection(ctx, name.alias())
		if err != nil {
			return err
		}
		collection = info.Name
		if collection == name.alias() || collection == "" { // older servers repeat the alias
			collection = info.Schema.CollectionName
		}
		return nil
	})
	if err != nil {
		return "", false, fmt.Errorf("alias %s: %w: %w", name.alias(), ErrMilvus, err)
	}
	return collection, ok, nil
}

// Drop drops the collection of a release, if there is one; ErrPublished when
// the alias points to it, since Milvus would leave the alias pointing nowhere.
func (c *Client) Drop(ctx context.Context, name Name) error {
	return c.drop(ctx, name, name.collection())
}

func (c *Client) drop(ctx context.Context, name Name, collection string) error {
	published, ok, err := c.Published(ctx, name)
	if err != nil {
		return err
	}
	if ok && published == collection {
		return fmt.Errorf("drop %s: %w: publish another release first", collection, ErrPublished)
	}
	err = within(ctx, c.c.Admin, func(ctx context.Context) error {
		there, err := c.sdk.HasCollection(ctx, collection)
		if err != nil || !there {
			return err
		}
		return c.sdk.DropCollection(ctx, collection)
	})
	if err != nil {
		return fmt.Errorf("drop %s: %w: %w", collection, ErrMilvus, err)
	}
	return nil
}

// collections lists those of name's shop and model.
func (c *Client) collections(ctx context.Context, name Name) ([]string, error) {
	var names []string
	err := within(ctx, c.c.Admin, func(ctx context.Context) error {
		all, err := c.sdk.ListCollections(ctx)
		for _, x := range all {
			if strings.HasPrefix(x.Name, name.family()+"_v_") {
				names = append(names, x.Name)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list collections: %w: %w", ErrMilvus, err)
	}
	return names, nil
}

// rows is how many rows a flushed collection has.
func (c *Client) rows(ctx context.Context, collection string) (int, error) {
	stats, err := c.sdk.GetCollectionStatistics(ctx, collection)
	if err != nil {
		return 0, fmt.Errorf("rows of %s: %w: %w", collection, ErrMilvus, err)
	}
	n, err := strconv.Atoi(stats["row_count"])
	if err != nil {
		return 0, fmt.Errorf("rows of %s: %w: row_count %q", collection, ErrMilvus, stats["row_count"])
	}
	return n, nil
}

func within(ctx context.Context, limit time.Duration, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}
