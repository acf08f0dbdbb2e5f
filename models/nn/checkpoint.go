package nn

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release/safetensors"
)

// ErrCheckpoint is returned for a checkpoint of another network or of none.
var ErrCheckpoint = errors.New("checkpoint does not fit")

// Checkpoint writes the weights, the moments and the number of steps as
// safetensors, with note beside them, and the best weights so far (see
// Params.Copy) where there are any. A run that is restored from it and given
// the same batches ends in the same weights, bit by bit: dropout draws by seed
// and step (see Seed), never from a stream.
func (a *Adam[F]) Checkpoint(w io.Writer, note map[string]string, best [][]F) error {
	type part struct {
		prefix string
		data   []F
	}
	var all []safetensors.Named
	for i, p := range a.params {
		parts := []part{{"w.", p.W}, {"m.", a.m[i]}, {"v.", a.v[i]}}
		if best != nil {
			parts = append(parts, part{"b.", best[i]})
		}
		for _, part := range parts {
			all = append(all, safetensors.Named{Name: part.prefix + p.Name, Tensor: models.TensorOf(part.data, p.Rows, p.Cols)})
		}
	}
	meta := map[string]string{"steps": strconv.Itoa(a.steps)}
	for k, v := range note {
		meta["note."+k] = v
	}
	return safetensors.Write(w, all, meta)
}

// Restore reads what Checkpoint wrote into the weights and moments and returns
// the note, and the best weights where there were any. On an error nothing has
// changed.
func (a *Adam[F]) Restore(b []byte) (note map[string]string, best [][]F, err error) {
	f, err := safetensors.Parse(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	steps, err := strconv.Atoi(f.Metadata["steps"])
	if err != nil || steps < 0 {
		return nil, nil, fmt.Errorf("%w: number of steps is %q", ErrCheckpoint, f.Metadata["steps"])
	}
	if len(f.Tensors) > 3*len(a.params) {
		best = a.params.Copy() // to be written over
	}
	type move struct{ to, from []F }
	var moves []move
	for i, p := range a.params {
		parts := map[string][]F{"w.": p.W, "m.": a.m[i], "v.": a.v[i]}
		if best != nil {
			parts["b."] = best[i]
		}
		for prefix, to := range parts {
			t, ok := f.Tensors[prefix+p.Name]
			if !ok {
				return nil, nil, fmt.Errorf("%w: no tensor %q", ErrCheckpoint, prefix+p.Name)
			}
			from, err := models.View[F](t, p.Rows, p.Cols)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: tensor %q: %w", ErrCheckpoint, prefix+p.Name, err)
			}
			moves = append(moves, move{to, from})
		}
	}
	if len(f.Tensors) != len(moves) {
		return nil, nil, fmt.Errorf("%w: %d tensors: expected %d", ErrCheckpoint, len(f.Tensors), len(moves))
	}
	for _, m := range moves {
		copy(m.to, m.from)
	}
	a.steps = steps
	note = map[string]string{}
	for k, v := range f.Metadata {
		if len(k) > len("note.") && k[:len("note.")] == "note." {
			note[k[len("note."):]] = v
		}
	}
	return note, best, nil
}
