// Package flagfile reads a program's flags from a YAML file, for kong.
//
// It imports no package of the project. Start reading at Read.
package flagfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// Read is a kong.ConfigurationLoader. In the file a flag stands at the top, or
// under its command's name, where it wins:
//
//	seed: 7
//	evaluate:
//	  metric: [recall@20, ndcg@20]
//
// Flags on the command line and in the environment win over the file. A name
// that is no flag is an error.
func Read(r io.Reader) (kong.Resolver, error) {
	values := map[string]any{}
	if err := yaml.NewDecoder(r).Decode(&values); err != nil && !errors.Is(err, io.EOF) {
		name := "configuration"
		if f, ok := r.(interface{ Name() string }); ok {
			name = "configuration " + f.Name()
		}
		return nil, fmt.Errorf("%s: %w: expected YAML, a flag and its value a line", name, err)
	}
	return file(values), nil
}

type file map[string]any

// Validate implements kong.Resolver.
func (f file) Validate(app *kong.Application) error {
	top, commands := map[string]bool{}, map[string]map[string]bool{}
	for _, flag := range app.Flags {
		top[flag.Name] = true
	}
	for _, n := range app.Children {
		commands[n.Name] = map[string]bool{}
		for _, flag := range n.Flags {
			top[flag.Name], commands[n.Name][flag.Name] = true, true
		}
	}
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		own, isCommand := commands[name]
		section, nested := f[name].(map[string]any)
		switch {
		case isCommand && nested:
			for flag := range section {
				if !own[flag] {
					return fmt.Errorf("configuration: command %s has no flag %q: see %s %s --help", name, flag, app.Name, name)
				}
			}
		case !top[name]:
			return fmt.Errorf("configuration: %q is neither a command nor a flag: see %s --help", name, app.Name)
		}
	}
	return nil
}

// Resolve implements kong.Resolver.
func (f file) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs { // kong would let the file win
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	if parent != nil && parent.Command != nil {
		if section, ok := f[parent.Command.Name].(map[string]any); ok {
			if v, ok := section[flag.Name]; ok {
				return plain(v), nil
			}
		}
	}
	v, ok := f[flag.Name]
	if _, section := v.(map[string]any); !ok || section && parent != nil && parent.Command == nil {
		return nil, nil
	}
	return plain(v), nil
}

// plain turns lists into what kong splits at commas.
func plain(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = fmt.Sprint(e)
	}
	return strings.Join(parts, ",")
}
