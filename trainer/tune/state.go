package tune

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/attune-rec/attune/features/dataset"
)

// ErrState is returned for a file of another search.
var ErrState = errors.New("the file is of another search")

// state is the trials that are done, and what they belong to.
type state struct {
	Search string  `json:"search"` // fingerprint
	Trials []Trial `json:"trials"`
	path   string
}

// openState reads the search's file, where it has one.
func openState(s *Search) (*state, error) {
	mark, err := s.fingerprint()
	if err != nil {
		return nil, err
	}
	st := &state{Search: mark, path: s.State}
	if s.State == "" {
		return st, nil
	}
	raw, err := os.ReadFile(s.State)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return nil, err
	}
	var old state
	if err := json.Unmarshal(raw, &old); err != nil {
		return nil, fmt.Errorf("%s: %w: remove it to search anew", s.State, err)
	}
	if old.Search != mark {
		return nil, fmt.Errorf("%s: %w (other data, model, metric, seed or number of trials): name another file, or remove it", s.State, ErrState)
	}
	st.Trials = old.Trials
	return st, nil
}

// fingerprint tells searches apart whose trials cannot be mixed.
func (s *Search) fingerprint() (string, error) {
	h := fnv.New64a()
	settings, err := json.Marshal([]any{s.Kind.Name, s.Kind.Space, s.Fixed, s.Weights, s.Metric.String(), s.Trials, s.Keep, s.Seed})
	if err != nil {
		return "", err
	}
	h.Write(settings)
	var own []byte
	for _, d := range []*dataset.Dataset{s.Train, s.Validate} {
		fmt.Fprint(h, d.NumUsers(), d.NumItems(), len(d.Log))
		for i := range d.Log {
			it := &d.Log[i]
			own = binary.LittleEndian.AppendUint32(own[:0], uint32(it.Row))                       // #nosec G115 -- bytes of a hash
			own = binary.LittleEndian.AppendUint64(append(own, byte(it.Type)), uint64(it.TimeMS)) // #nosec G115
			own = binary.LittleEndian.AppendUint32(own, math.Float32bits(it.Value))
			h.Write(own)
		}
		for _, at := range d.Ptr {
			h.Write(binary.LittleEndian.AppendUint64(own[:0], uint64(at))) // #nosec G115
		}
	}
	return fmt.Sprintf("%016x", h.Sum64()), nil
}

func (s *state) find(setting, round int) (Trial, bool) {
	for _, t := range s.Trials {
		if t.Setting == setting && t.Round == round {
			return t, true
		}
	}
	return Trial{}, false
}

// add keeps a trial, in the file too: whole or not at all.
func (s *state) add(t Trial) error {
	s.Trials = append(s.Trials, t)
	if s.path == "" {
		return nil
	}
	raw, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), "."+filepath.Base(s.path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path)
}

// sorted is the trials by round, then setting.
func (s *state) sorted() []Trial {
	out := slices.Clone(s.Trials)
	slices.SortFunc(out, func(a, b Trial) int { return cmp.Or(a.Round-b.Round, a.Setting-b.Setting) })
	return out
}
