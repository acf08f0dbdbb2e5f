package milvus

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	sdk "github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/milvus-io/milvus-sdk-go/v2/entity"
)

const (
	// mostHits is what Milvus returns at most.
	mostHits = 16384
	// longShare and mostLong: one row in so many, the longest, is scanned here.
	longShare, mostLong = 16, 4096
	// calibratedTop is the number of hits that Config.Width is stated for.
	calibratedTop = 100
)

// Index searches one collection. It implements models.Index; vector.WithTail
// puts newer rows and deletions in front of it. It is safe for concurrent use.
//
// The longest rows, which are best for many queries and far from each other, so
// that no graph leads to them, are scanned here beside each search.
type Index struct {
	client     *Client
	collection string
	n, dim     int
	vecs       []float32
	long       []int32
	words      *words
}

// Open finds the collection of a release. The vectors of r are the model's own,
// memory-mapped as they are: hits get their scores from them, to the same bits as
// a local index gives. It reports ErrMilvus when the collection is not there, and
// ErrMismatch when it is of other vectors or not complete. One that was filled
// without these very words is searched without them.
func (c *Client) Open(ctx context.Context, name Name, r Rows) (*Index, error) {
	return c.open(ctx, name, r, nil)
}

// open is Open with the words of r, where they are made already.
func (c *Client) open(ctx context.Context, name Name, r Rows, said *words) (*Index, error) {
	collection := name.collection()
	ctx, cancel := context.WithTimeout(ctx, c.c.Admin)
	defer cancel()
	info, err := c.sdk.DescribeCollection(ctx, collection)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: %w", collection, ErrMilvus, err)
	}
	if err := r.shape(); err != nil {
		return nil, fmt.Errorf("open %s: %w", collection, err)
	}
	x := &Index{client: c, collection: collection, n: r.count(), dim: r.Dim, vecs: r.Vectors}
	x.long, _ = longest(r.Vectors, r.Dim)
	rows, err := c.rows(ctx, collection)
	if err != nil {
		return nil, err
	}
	is, isSaid, _ := strings.Cut(info.Schema.Description, saidMark)
	if want := fingerprint(r.Vectors, r.Dim); is != want {
		return nil, fmt.Errorf("open %s: %w: it says %q, the release's vectors are %q: fill it again with 'trainer promote'", collection, ErrMismatch, is, want)
	}
	if rows != x.n {
		return nil, fmt.Errorf("open %s: %w: it has %d rows, the release %d: fill it again with 'trainer promote'", collection, ErrMismatch, rows, x.n)
	}
	if said == nil {
		said = newWords(pace.Of(ctx), x.n, r.Attr)
	}
	if x.words = said; isSaid != said.fingerprint() {
		x.words = newWords(nil, x.n, nil)
	}
	return x, nil
}

// OpenReady is Open, and waits until the collection answers, Config.Ready at
// most: a loaded one may say for half a minute after a restart of Milvus that
// it is not.
func (c *Client) OpenReady(ctx context.Context, name Name, r Rows) (*Index, error) {
	x, err := c.Open(ctx, name, r)
	if err != nil {
		return nil, err
	}
	if err := c.ready(ctx, x); err != nil {
		return nil, fmt.Errorf("%s cannot be searched yet: %w", x.collection, err)
	}
	return x, nil
}

// Remote says that searches go over the network.
func (x *Index) Remote() bool { return true }

// Len implements models.Index.
func (x *Index) Len() int { return x.n }

// Dim is the dimension of the vectors.
func (x *Index) Dim() int { return x.dim }

// Close implements models.Index. The client stays open.
func (x *Index) Close() error { return nil }

// Search implements models.Index. Of w, Attr goes along as words, as far as the
// collection has the attribute and they say about what Allow does; Allow and Deny
// are held to in any case. Attr without Allow means the rows that were said so
// when the collection was filled; it reports ErrQuery for an attribute that the
// collection does not have.
func (x *Index) Search(ctx context.Context, vec []float32, k int, w models.Where, dst []models.Hit) ([]models.Hit, error) {
	hits := [][]models.Hit{dst}
	err := x.SearchMany(ctx, vec, k, w, hits)
	return hits[0], err
}

// SearchMany implements models.Index, in one call to Milvus where the filter
// lets it.
func (x *Index) SearchMany(ctx context.Context, vecs []float32, k int, w models.Where, dst [][]models.Hit) error {
	if len(vecs) != len(dst)*x.dim {
		return fmt.Errorf("%w: %d numbers for %d queries of dimension %d", ErrQuery, len(vecs), len(dst), x.dim)
	}
	for i, v := range vecs {
		if v-v != 0 {
			return fmt.Errorf("%w: number %d of query %d is %v: expected finite numbers", ErrQuery, i%x.dim, i/x.dim, v)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if k = min(k, x.n); k <= 0 || len(dst) == 0 {
		return nil
	}
	if k > mostHits {
		return fmt.Errorf("%w: %d hits: Milvus gives %d at most", ErrQuery, k, mostHits)
	}
	ctx, cancel := context.WithTimeout(ctx, x.client.c.Search)
	defer cancel()
	f, err := x.filter(w)
	if err != nil || f.allowed == 0 {
		return err
	}
	k = min(k, f.allowed)
	if f.mask == nil {
		for lo := 0; lo < len(dst); lo += mostQueries {
			hi := min(lo+mostQueries, len(dst))
			if _, err := x.ask(ctx, vecs[lo*x.dim:hi*x.dim], k, k, f, dst[lo:hi]); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range dst {
		if err := x.narrowed(ctx, vecs[i*x.dim:][:x.dim], k, f, &dst[i]); err != nil {
			return err
		}
	}
	return nil
}

// mostQueries is how many queries go in one call.
const mostQueries = 256

// appendHits appends what top keeps, each row once.
func appendHits(dst []models.Hit, top *linalg.TopK, k int) []models.Hit {
	start := len(dst)
	for _, c := range top.Sorted(nil) {
		h := models.Hit{Row: features.Row(c.Index), Score: c.Score}
		if n := len(dst); len(dst)-start < k && (n == start || dst[n-1] != h) {
			dst = append(dst, h)
		}
	}
	return dst
}

// ask searches for want rows of each query and appends the k best that pass to
// dst. It returns how many that Milvus found pass, for the query with the fewest.
func (x *Index) ask(ctx context.Context, vecs []float32, want, k int, f filter, dst [][]models.Hit) (passed int, err error) {
	// Beyond k, so that those whose distances Milvus rounds alike are told apart.
	want = min(want+16, mostHits, x.n)
	queries := make([]entity.Vector, len(dst))
	for i := range queries {
		queries[i] = entity.FloatVector(append(slices.Clone(vecs[i*x.dim:][:x.dim]), 0))
	}
	c := x.client.c
	width := min(max(c.Width, c.Width*want/calibratedTop, 2*want), 32768)
	params, err := entity.NewIndexHNSWSearchParam(width)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	sets, err := x.client.sdk.Search(ctx, x.collection, nil, f.expr, nil, queries, vecField, entity.L2, want, params,
		sdk.WithSearchQueryConsistencyLevel(levels[c.Consistency]))
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		return 0, fmt.Errorf("search %s: %w: %w", x.collection, ErrMilvus, err)
	}
	if len(sets) != len(dst) {
		return 0, fmt.Errorf("search %s: %w: %d answers to %d queries", x.collection, ErrMilvus, len(sets), len(dst))
	}
	passed = want
	for i, set := range sets {
		if set.Err != nil {
			return 0, fmt.Errorf("search %s: %w: %w", x.collection, ErrMilvus, set.Err)
		}
		var p int
		if dst[i], p, err = x.hits(vecs[i*x.dim:][:x.dim], set, k, f, dst[i]); err != nil {
			return 0, err
		}
		passed = min(passed, p)
	}
	return passed, nil
}

// hits appends the best k of an answer and of the rows that are scanned here.
func (x *Index) hits(vec []float32, set sdk.SearchResult, k int, f filter, dst []models.Hit) ([]models.Hit, int, error) {
	var top linalg.TopK
	top.Reset(2 * k) // a row may come twice
	passed := 0
	offer := func(row int32) {
		if f.mask == nil || f.mask[row>>6]&(1<<(uint32(row)&63)) != 0 {
			top.Push(row, linalg.Dot(vec, x.vecs[int(row)*x.dim:][:x.dim]))
			passed++
		}
	}
	if set.ResultCount > 0 {
		ids, ok := set.IDs.(*entity.ColumnInt64)
		if !ok || len(ids.Data()) < set.ResultCount {
			return dst, 0, fmt.Errorf("search %s: %w: an answer without rows", x.collection, ErrMilvus)
		}
		for _, id := range ids.Data()[:set.ResultCount] {
			if id < 0 || id >= int64(x.n) {
				return dst, 0, fmt.Errorf("search %s: %w: row %d of %d", x.collection, ErrMilvus, id, x.n)
			}
			offer(int32(id))
		}
	}
	found := passed
	for _, row := range f.scan {
		offer(row)
	}
	return appendHits(dst, &top, k), found, nil
}

// longest is the rows that are scanned, and the squared length of the longest of
// the others.
func longest(vecs []float32, dim int) (rows []int32, rest float32) {
	n := len(vecs) / dim
	var top linalg.TopK
	top.Reset(min(mostLong, n/longShare) + 1)
	for i := range n {
		v := vecs[i*dim:][:dim]
		top.Push(int32(i), linalg.Dot(v, v))
	}
	sorted := top.Sorted(nil)
	last := len(sorted) - 1
	for _, c := range sorted[:last] {
		rows = append(rows, c.Index)
	}
	return rows, sorted[last].Score
}

var _ models.Index = (*Index)(nil)
