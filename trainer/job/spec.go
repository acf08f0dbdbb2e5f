package job

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"go.yaml.in/yaml/v3"
)

// Models is the flags of which models to train, and how.
type Models struct {
	Model      []string           `help:"Models to train: kinds, or name=kind to train one kind several ways." placeholder:"KIND" required:""`
	Params     []string           `help:"A model's parameter: ials.factors=128; several by repeating the flag." sep:"none" placeholder:"MODEL.PARAM=VALUE"`
	ParamsFile string             `help:"YAML file of parameters by model." type:"existingfile" placeholder:"FILE"`
	Weight     map[string]float64 `help:"Weight of an event type: view=0.2,purchase=1." mapsep:"," placeholder:"TYPE=WEIGHT"`
	Workers    int                `help:"Goroutines at work at most; 0 takes all cores." default:"0"`
}

// spec is one model to train.
type spec struct {
	name   string
	kind   models.Kind
	params map[string]any
}

// Validate implements kong's check: kinds exist, parameters belong to a model.
func (m *Models) Validate() error {
	if m.Workers < 0 {
		return fmt.Errorf("--workers is %d: expected 0 or more", m.Workers)
	}
	if _, err := models.WeightsOf(m.Weight); err != nil {
		return err
	}
	_, err := m.specs()
	return err
}

func (m *Models) specs() ([]spec, error) {
	var specs []spec
	for _, s := range m.Model {
		name, of, named := strings.Cut(strings.TrimSpace(s), "=")
		if !named {
			of = name
		}
		k, err := kind.Of(of)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(specs, func(o spec) bool { return o.name == name }) {
			return nil, fmt.Errorf("--model has %q twice: name one of them, such as other=%s", name, of)
		}
		specs = append(specs, spec{name: name, kind: k, params: map[string]any{}})
	}
	if len(specs) == 0 {
		return nil, fmt.Errorf("--model is empty: expected some of %s", strings.Join(kind.Names(), ", "))
	}
	if m.ParamsFile != "" {
		if err := readParams(m.ParamsFile, specs); err != nil {
			return nil, err
		}
	}
	for _, p := range m.Params {
		if err := setParam(p, specs); err != nil {
			return nil, err
		}
	}
	return specs, nil
}

func find(specs []spec, name string) *spec {
	for i := range specs {
		if specs[i].name == name {
			return &specs[i]
		}
	}
	return nil
}

func readParams(path string, specs []spec) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var byModel map[string]map[string]any
	if err := yaml.Unmarshal(raw, &byModel); err != nil {
		return fmt.Errorf("%s: %w: expected parameters under each model's name", path, err)
	}
	for name, params := range byModel {
		s := find(specs, name)
		if s == nil {
			continue // one file may serve several runs
		}
		for key, v := range params {
			s.params[key] = v
		}
	}
	return nil
}

// setParam reads "ials.factors=128"; dots after the first go into objects.
func setParam(p string, specs []spec) error {
	path, text, ok := strings.Cut(p, "=")
	name, key, dotted := strings.Cut(path, ".")
	if !ok || !dotted || key == "" {
		return fmt.Errorf("--params is %q: expected MODEL.PARAM=VALUE, such as ials.factors=128", p)
	}
	s := find(specs, name)
	if s == nil {
		return fmt.Errorf("--params is %q, and no model is called %q: expected one of --model", p, name)
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		v = text
	}
	keys := strings.Split(key, ".")
	at := s.params
	for _, k := range keys[:len(keys)-1] {
		inner, ok := at[k].(map[string]any)
		if !ok {
			inner = map[string]any{}
			at[k] = inner
		}
		at = inner
	}
	at[keys[len(keys)-1]] = v
	return nil
}

// fitted is a trained model and what it cost.
type fitted struct {
	spec
	model   models.Model
	raw     json.RawMessage // the parameters it was given
	cpu     time.Duration
	wall    time.Duration
	peakRSS int64
}

// fit trains one model.
func (s spec) fit(env *Env, d *dataset.Split, m *Models, seed uint64) (*fitted, error) {
	raw, err := json.Marshal(s.params)
	if err != nil {
		return nil, fmt.Errorf("parameters of %s: %w", s.name, err)
	}
	bar := env.Progress("fit " + s.name)
	defer bar.Done()
	debug.FreeOSMemory()
	resetPeak()
	cpu, start := cpuTime(), time.Now()
	model, err := s.kind.Fit(env.Ctx, models.FitInput{
		Train: d.Train, Validate: d.Validate, Params: raw, Seed: seed, Workers: m.Workers, Weights: m.Weight,
		Progress: func(p models.Progress) { bar.Step(p.Step, p.Steps, p.Stage+figures(p.Figures)) },
	})
	if err != nil {
		return nil, fmt.Errorf("fit %s: %w", s.name, err)
	}
	return &fitted{spec: s, model: model, raw: raw, cpu: cpuTime() - cpu, wall: time.Since(start), peakRSS: peakRSS()}, nil
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
