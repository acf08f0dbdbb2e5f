package job

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/usage"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
)

// fitted is a trained model and what it cost, its parts included.
type fitted struct {
	spec
	model   models.Model
	parts   []string      // of a composite, by name
	own     []models.Part // of them, those that it fitted by itself
	raw     json.RawMessage
	account []string // how it was chosen
	cpu     time.Duration
	wall    time.Duration
	peakRSS int64
}

// training trains the models of a plan; parts that several need are trained
// once.
type training struct {
	env   *Env
	data  *dataset.Split
	flags *Models
	plan  *plan
	seed  uint64
	done  map[string]*fitted
	order []string // in which they were done: parts before what is made of them
}

func newTraining(env *Env, data *dataset.Split, flags *Models, p *plan, seed uint64) *training {
	return &training{env: env, data: data, flags: flags, plan: p, seed: seed, done: map[string]*fitted{}}
}

// fit trains the model, and before it its parts.
func (t *training) fit(s spec) (*fitted, error) {
	if f := t.done[s.name]; f != nil {
		return f, nil
	}
	f := &fitted{spec: s}
	var parts []models.Part
	if s.kind.Parts != nil {
		names := t.flags.Parts
		if len(names) == 0 {
			names = s.kind.Parts(t.data.Train)
		}
		for _, name := range names {
			part, err := t.part(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			parts = append(parts, models.Part{Name: name, Model: part.model})
			f.parts = append(f.parts, name)
			f.cpu += part.cpu
			f.wall += part.wall
			f.peakRSS = max(f.peakRSS, part.peakRSS)
		}
	}
	if err := t.run(f, parts); err != nil {
		return nil, fmt.Errorf("fit %s: %w", s.name, err)
	}
	t.done[s.name] = f
	t.order = append(t.order, s.name)
	return f, nil
}

// part is the model that a composite calls name: one of the plan, or the kind
// with its defaults.
func (t *training) part(name string) (*fitted, error) {
	s := t.plan.find(name)
	if s == nil {
		k, err := kind.Of(name)
		if err != nil {
			return nil, err
		}
		s = &spec{name: name, kind: k, params: t.plan.parts[name]}
	}
	if s.kind.Parts != nil {
		return nil, fmt.Errorf("part %q is a composite itself: name simple models with --parts", name)
	}
	return t.fit(*s)
}

func (t *training) run(f *fitted, parts []models.Part) error {
	params := f.params
	if params == nil {
		params = map[string]any{}
	}
	var err error
	if f.raw, err = json.Marshal(params); err != nil {
		return err
	}
	bar := t.env.Progress("fit " + f.name)
	defer bar.Done()
	debug.FreeOSMemory()
	resetPeak()
	cpu, start := usage.Processor(), time.Now()
	checkpoint := ""
	if t.flags.Checkpoints != "" {
		checkpoint = filepath.Join(t.flags.Checkpoints, f.name+".safetensors")
	}
	f.model, err = f.kind.Fit(t.env.Ctx, models.FitInput{
		Train: t.data.Train, Validate: t.data.Validate, Params: f.raw, Seed: t.seed,
		Workers: t.flags.Workers, Weights: t.flags.Weight, Parts: parts, Kinds: kind.Of, Checkpoint: checkpoint,
		Progress: func(p models.Progress) { bar.Step(p.Step, p.Steps, p.Stage+figures(p.Figures)) },
	})
	f.cpu += usage.Processor() - cpu
	f.wall += time.Since(start)
	f.peakRSS = max(f.peakRSS, peakRSS())
	if err != nil {
		return err
	}
	if c, ok := f.model.(models.Chooser); ok {
		if f.raw, err = c.Chosen(); err != nil {
			return err
		}
		f.account = c.Account()
	}
	if c, ok := f.model.(models.Composite); ok && len(parts) == 0 {
		f.own = c.Parts()
		for _, part := range f.own {
			f.parts = append(f.parts, part.Name)
		}
	}
	return nil
}

func figures(f map[string]float64) string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, " %s=%.5g", name, f[name])
	}
	return b.String()
}
