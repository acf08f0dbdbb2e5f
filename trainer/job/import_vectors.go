package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest/footer"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/imported"
	"github.com/attune-rec/attune/models/release"
)

// ImportVectors makes a release from item vectors that were trained elsewhere: a
// safetensors file with a float matrix of one row an item, or the Parquet
// factors of Spark ALS (id: int, features: list of float), a file or a folder
// of parts. --ids says which item a row or id is.
type ImportVectors struct {
	Releases `embed:""`
	By       `embed:""`
	Cluster  `embed:""`
	Vectors  string  `arg:"" help:"File of vectors: .safetensors, or .parquet or a folder of such parts." type:"path"`
	IDs      string  `name:"ids" help:"Text file: line n is the item of row n, from 0; or \"number<tab>item\" lines." type:"existingfile" required:""`
	Tensor   string  `help:"Name of the tensor of a safetensors file; needed when there are several." placeholder:"NAME"`
	Model    string  `help:"Name of the model in the release." default:"imported"`
	Base     string  `help:"Release whose items, models and recipes are taken along." placeholder:"VERSION"`
	Params   string  `help:"How shoppers are folded in, as JSON; {} is as Spark does." default:"{}"`
	Promote  bool    `help:"Serve it at once."`
	MaxLost  float64 `help:"Share of vectors that may name items the base release does not have." default:"0"`
}

// Validate implements kong's check of flags that depend on one another.
func (im *ImportVectors) Validate() error {
	if !(im.MaxLost >= 0 && im.MaxLost <= 1) {
		return fmt.Errorf("--max-lost is %v: expected a share from 0 to 1", im.MaxLost)
	}
	return im.Releases.Validate()
}

// Run implements the command.
func (im *ImportVectors) Run(env *Env) error {
	p := imported.Defaults()
	if err := models.DecodeParams(json.RawMessage(im.Params), &p); err != nil {
		return fmt.Errorf("--params: %w", err)
	}
	ids, err := imported.ReadIDs(im.IDs)
	if err != nil {
		return err
	}
	read := readSparkFactors
	if strings.HasSuffix(im.Vectors, ".safetensors") {
		read = im.readSafetensors
	}
	vectors, dim, err := read(im.Vectors)
	if err != nil {
		return fmt.Errorf("%s: %w", im.Vectors, err)
	}
	return im.with(env, func(st release.Store) error {
		d := release.Draft{Shop: im.shop(), Lineage: release.Lineage{Code: "import", Parameters: map[string]any{im.Model: p}}}
		if im.Base != "" {
			base, err := release.Open(env.Ctx, st, im.shop(), im.Base, kinds)
			if err != nil {
				return err
			}
			defer base.Close()
			d.Items, d.Models, d.Recipes, d.Lineage.Parent = base.Items, base.Models(), base.Recipes, im.Base
		}
		m, err := im.model(env, &d, vectors, dim, ids, p)
		if err != nil {
			return err
		}
		d.Models = append(d.Models, models.Part{Name: im.Model, Model: m})
		man, err := release.Publish(env.Ctx, st, d)
		if err != nil {
			return err
		}
		return im.finishPublish(env, st, man, im.Promote, im.change())
	})
}

// model lays the vectors out by the draft's rows; without a base the draft's
// items are those that have a vector.
func (im *ImportVectors) model(env *Env, d *release.Draft, vectors map[int64][]float32, dim int, ids map[int64]string, p imported.Params) (*imported.Model, error) {
	rows := make(map[string]int, len(d.Items))
	for i := range d.Items {
		rows[d.Items[i].ID] = i
	}
	numbers := make([]int64, 0, len(vectors))
	for n := range vectors {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	lost := 0
	placed := map[int][]float32{}
	for _, n := range numbers {
		id, ok := ids[n]
		if !ok {
			return nil, fmt.Errorf("%s: number %d has a vector and no item: add its line", im.IDs, n)
		}
		row, ok := rows[id]
		switch {
		case ok:
		case im.Base != "":
			lost++
			continue
		default:
			row, rows[id] = len(d.Items), len(d.Items)
			d.Items = append(d.Items, features.Item{ID: id, Kind: features.Product, Title: id})
		}
		placed[row] = vectors[n]
	}
	if share := float64(lost) / float64(len(numbers)); share > im.MaxLost {
		return nil, fmt.Errorf("%d of %d vectors are of items that release %s does not have: give --max-lost %.2g to leave them out", lost, len(numbers), im.Base, share)
	}
	if lost > 0 {
		env.Log.Warn("vectors left out", "items", lost, "of", len(numbers))
	}
	data := make([]float32, len(d.Items)*dim)
	for row, v := range placed {
		copy(data[row*dim:], v)
	}
	return imported.New(data, dim, p)
}

func (im *ImportVectors) readSafetensors(path string) (map[int64][]float32, int, error) {
	m, err := imported.ReadVectors(path, im.Tensor)
	if err != nil {
		return nil, 0, err
	}
	vectors := make(map[int64][]float32, m.Rows)
	for i := range m.Rows {
		vectors[int64(i)] = m.Row(i)
	}
	return vectors, m.Cols, nil
}

// factorRecord is a line of the factors that Spark ALS writes.
type factorRecord struct {
	ID       int32     `parquet:"id"`
	Features []float32 `parquet:"features,list"`
}

// readSparkFactors reads a Parquet file or the parts of a folder.
func readSparkFactors(path string) (map[int64][]float32, int, error) {
	parts := []string{path}
	if info, err := os.Stat(path); err != nil {
		return nil, 0, err
	} else if info.IsDir() {
		if parts, err = filepath.Glob(filepath.Join(path, "*.parquet")); err != nil || len(parts) == 0 {
			return nil, 0, errors.Join(err, errors.New("no .parquet file in the folder"))
		}
	}
	vectors, dim := map[int64][]float32{}, 0
	for _, part := range parts {
		f, err := os.Open(part)
		if err != nil {
			return nil, 0, err
		}
		err = eachFactor(f, func(r factorRecord) error {
			if dim == 0 {
				dim = len(r.Features)
			}
			if _, ok := vectors[int64(r.ID)]; ok || len(r.Features) != dim || dim == 0 {
				return fmt.Errorf("id %d is there twice, or has %d numbers: expected %d", r.ID, len(r.Features), dim)
			}
			vectors[int64(r.ID)] = slices.Clone(r.Features)
			return nil
		})
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", filepath.Base(part), err)
		}
	}
	if dim == 0 {
		return nil, 0, errors.New("no vectors")
	}
	return vectors, dim, nil
}

func eachFactor(f *os.File, each func(factorRecord) error) (err error) {
	defer func() {
		if p := recover(); p != nil { // a decoder of others must not end the program
			err = fmt.Errorf("decode: %v", p)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := footer.Check(f, info.Size()); err != nil {
		return fmt.Errorf("not a Parquet file: %w", err)
	}
	r := parquet.NewGenericReader[factorRecord](f)
	defer r.Close()
	batch := make([]factorRecord, 256)
	for {
		clear(batch)
		n, err := r.Read(batch)
		for _, rec := range batch[:n] {
			if err := each(rec); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
