package vector

import (
	"context"
	"fmt"
	"io"

	"github.com/attune-rec/attune/models"
)

// FileRows is how many rows a model has at least for its index to be kept in a
// release; fewer are indexed in some milliseconds when it is opened.
const FileRows = 20_000

// FileName is how a release calls the index over a model's vectors.
func FileName(model string) string { return model + ".attnvec" }

// Files builds an index over the vectors of each model that has many, and
// returns what writes their files, as release.Draft.Index takes it.
func Files(ctx context.Context, parts []models.Part, o Options) (map[string]func(io.Writer) error, error) {
	files := map[string]func(io.Writer) error{}
	for _, p := range parts {
		e, ok := p.Model.(models.Embedder)
		if !ok || p.Model.Items() < FileRows {
			continue
		}
		x, err := Build(ctx, e.Vectors(), e.Dim(), o)
		if err != nil {
			return nil, fmt.Errorf("index of model %q: %w", p.Name, err)
		}
		files[FileName(p.Name)] = func(w io.Writer) error {
			_, err := x.WriteTo(w)
			return err
		}
	}
	return files, nil
}

// Load opens the index file b of a model's vectors, as OpenAt does where there is
// a file to read beside it, and indexes them if b is nil. It reports ErrFile when b
// is not of as many rows of that dimension.
func Load(b []byte, file File, vecs []float32, dim, workers int) (x Saved, err error) {
	switch {
	case b == nil:
		return NewExact(vecs, dim, workers)
	case file == nil:
		x, err = Open(b)
	default:
		x, err = OpenAt(b, file)
	}
	if err != nil {
		return nil, err
	}
	if x.Dim() != dim || x.Len()*dim != len(vecs) {
		_ = x.Close()
		return nil, badFile("has %d rows of dimension %d: the model has %d of %d", x.Len(), x.Dim(), len(vecs)/dim, dim)
	}
	return x, nil
}
