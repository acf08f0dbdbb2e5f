package job

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/attune-rec/attune/models/release"
)

// Export writes a verified release to a directory or a tar file: items in
// Parquet, tensors in safetensors, the rest in JSON, as docs/formats.md has it.
type Export struct {
	Releases `embed:""`
	To       string `arg:"" help:"New directory, or a file that ends in .tar; - writes a tar to standard output."`
	Version  string `arg:"" optional:"" help:"The release; the newest when none is given."`
}

// Run implements the command.
func (x *Export) Run(env *Env) error {
	return x.with(env, func(st release.Store) error {
		version, err := x.newest(env, st, x.Version)
		if err != nil {
			return err
		}
		var m release.Manifest
		switch {
		case x.To == "-":
			_, err = x.tar(env, st, version, env.Out)
			return err
		case strings.HasSuffix(x.To, ".tar"):
			err = writeFile(x.To, func(w io.Writer) error {
				var err error
				m, err = x.tar(env, st, version, w)
				return err
			})
		default:
			m, err = x.directory(env, st, version)
		}
		if err != nil {
			return err
		}
		if env.JSON {
			return env.WriteJSON(map[string]any{"version": m.Version, "to": x.To, "files": len(m.Files) + 2, "bytes": m.Bytes()})
		}
		_, err = fmt.Fprintf(env.Out, "exported %s to %s: %d files, %d bytes\n", m.Version, x.To, len(m.Files)+2, m.Bytes())
		return err
	})
}

func (x *Export) directory(env *Env, st release.Store, version string) (release.Manifest, error) {
	if err := os.MkdirAll(filepath.Dir(x.To), 0o755); err != nil {
		return release.Manifest{}, err
	}
	if err := os.Mkdir(x.To, 0o755); err != nil {
		return release.Manifest{}, fmt.Errorf("%w: give a directory that is not there yet", err)
	}
	return release.Export(env.Ctx, st, x.shop(), version, func(path string, b []byte) error {
		to := filepath.Join(x.To, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
}

func (x *Export) tar(env *Env, st release.Store, version string, w io.Writer) (release.Manifest, error) {
	tw := tar.NewWriter(w)
	manifest, err := release.ReadManifest(env.Ctx, st, x.shop(), version)
	if err != nil {
		return release.Manifest{}, err
	}
	m, err := release.Export(env.Ctx, st, x.shop(), version, func(path string, b []byte) error {
		if err := tw.WriteHeader(&tar.Header{Name: version + "/" + path, Mode: 0o644, Size: int64(len(b)), ModTime: manifest.Created}); err != nil {
			return err
		}
		_, err := tw.Write(b)
		return err
	})
	if err != nil {
		return release.Manifest{}, err
	}
	return m, tw.Close()
}
