package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// YAML reads a file of flags for kong: a flag's name and its value a line. A
// name that is no flag is an error; flags and variables win over the file.
func YAML(r io.Reader) (kong.Resolver, error) {
	values := map[string]any{}
	if err := yaml.NewDecoder(r).Decode(&values); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	return settings(values), nil
}

type settings map[string]any

// Validate implements kong.Resolver.
func (s settings) Validate(app *kong.Application) error {
	for name := range s {
		known := false
		for _, f := range app.Flags {
			known = known || f.Name == name
		}
		if !known {
			return fmt.Errorf("configuration file: %q is no flag: see --help", name)
		}
	}
	return nil
}

// Resolve implements kong.Resolver.
func (s settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs { // kong would let the file win
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	list, ok := s[flag.Name].([]any)
	if !ok {
		return s[flag.Name], nil
	}
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, ","), nil
}
