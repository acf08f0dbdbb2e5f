package job

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"go.yaml.in/yaml/v3"
)

// Models is the flags of which models to train, and how.
type Models struct {
	Model       []string           `help:"Models to train: kinds, or name=kind to train one kind several ways." placeholder:"KIND"`
	Params      []string           `help:"A model's parameter: ials.factors=128; several by repeating the flag." sep:"none" placeholder:"MODEL.PARAM=VALUE"`
	Parts       []string           `help:"Models that composites are made of; a kind's own choice when not given." placeholder:"KIND"`
	ParamsFile  string             `help:"YAML file of parameters by model." type:"existingfile" placeholder:"FILE"`
	Weight      map[string]float64 `help:"Weight of an event type: view=0.2,purchase=1." mapsep:"," placeholder:"TYPE=WEIGHT"`
	Checkpoints string             `help:"Folder in which networks leave their state after each epoch; the same command, begun again, goes on from there." type:"existingdir" placeholder:"DIR"`
	Workers     int                `help:"Goroutines at work at most; 0 takes all cores." default:"0"`
}

// spec is one model to train.
type spec struct {
	name   string
	kind   models.Kind
	params map[string]any
}

// plan is the models to train in their order, and parameters for parts of
// composites that are not among them.
type plan struct {
	specs []spec
	parts map[string]map[string]any // by kind
}

// Validate implements kong's check: kinds exist, parameters belong to a model.
func (m *Models) Validate() error {
	if m.Workers < 0 {
		return fmt.Errorf("--workers is %d: expected 0 or more", m.Workers)
	}
	if _, err := models.WeightsOf(m.Weight); err != nil {
		return err
	}
	for _, part := range m.Parts {
		if _, err := kind.Of(part); err != nil {
			return fmt.Errorf("--parts: %w", err)
		}
	}
	if len(m.Model) == 0 {
		return nil // the command says whether it needs some
	}
	_, err := m.plan()
	return err
}

func (m *Models) plan() (*plan, error) {
	p := &plan{parts: map[string]map[string]any{}}
	composite := false
	for _, s := range m.Model {
		name, of, named := strings.Cut(strings.TrimSpace(s), "=")
		if !named {
			of = name
		}
		k, err := kind.Of(of)
		if err != nil {
			return nil, fmt.Errorf("--model: %w", err)
		}
		if p.find(name) != nil {
			return nil, fmt.Errorf("--model has %q twice: name one of them, such as other=%s", name, of)
		}
		p.specs = append(p.specs, spec{name: name, kind: k, params: map[string]any{}})
		composite = composite || k.Parts != nil
	}
	if composite {
		for _, name := range kind.Names() {
			p.parts[name] = map[string]any{}
		}
	}
	if m.ParamsFile != "" {
		if err := p.read(m.ParamsFile); err != nil {
			return nil, err
		}
	}
	for _, text := range m.Params {
		if err := p.set(text); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *plan) find(name string) *spec {
	for i := range p.specs {
		if p.specs[i].name == name {
			return &p.specs[i]
		}
	}
	return nil
}

// params is where the parameters of a model, or of a part, are kept; nil when
// there is none of that name.
func (p *plan) params(name string) map[string]any {
	if s := p.find(name); s != nil {
		return s.params
	}
	return p.parts[name]
}

func (p *plan) read(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var byModel map[string]map[string]any
	if err := yaml.Unmarshal(raw, &byModel); err != nil {
		return fmt.Errorf("%s: %w: expected parameters under each model's name", path, err)
	}
	for name, params := range byModel {
		if to := p.params(name); to != nil { // one file may serve several runs
			maps.Copy(to, params)
		}
	}
	return nil
}

// set reads "ials.factors=128"; dots after the first go into objects.
func (p *plan) set(text string) error {
	path, value, ok := strings.Cut(text, "=")
	name, key, dotted := strings.Cut(path, ".")
	if !ok || !dotted || key == "" {
		return fmt.Errorf("--params is %q: expected MODEL.PARAM=VALUE, such as ials.factors=128", text)
	}
	at := p.params(name)
	if at == nil {
		return fmt.Errorf("--params is %q, and no model is called %q: expected one of --model", text, name)
	}
	v := valueOf(value)
	keys := strings.Split(key, ".")
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

// shortNumber is a number as people write it and JSON does not: .5, +3 or 2.
var shortNumber = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)

// valueOf reads a parameter's value: JSON, a number as people write it, or else
// text.
func valueOf(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		return v
	}
	if shortNumber.MatchString(text) {
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	}
	return text
}
