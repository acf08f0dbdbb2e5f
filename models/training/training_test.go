package training_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/multitask"
	"github.com/attune-rec/attune/models/neural"
	"github.com/attune-rec/attune/models/nn"
	"github.com/attune-rec/attune/models/sequence"
)

// tensors collects what a model saves.
type tensors map[string][]byte

func (s tensors) Tensor(name string, t models.Tensor) error {
	s[name] = append([]byte(nil), t.Data...)
	return nil
}

func (s tensors) JSON(name string, v any) error {
	b, err := json.Marshal(v)
	s[name] = b
	return err
}

func saved(t *testing.T, m models.Model) tensors {
	t.Helper()
	s := tensors{}
	if err := m.Save(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// parts is a board with each user's last held out.
func parts(t *testing.T) (train, validate *dataset.Dataset) {
	t.Helper()
	train, validate, err := dataset.HoldOut(modeltest.Board(40, nil), dataset.Hold{By: "newest", Share: .2, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return train, validate
}

type kindCase struct {
	kind   models.Kind
	params string
}

func kinds() []kindCase {
	return []kindCase{
		{sequence.GRU(), `{"dim": 8, "epochs": 7, "window": 8, "patience": 3}`},
		{sequence.SASRec(), `{"dim": 8, "epochs": 7, "window": 8, "negatives": 12}`},
		{neural.NeuMF(), `{"gmf": 8, "mlp": 8, "hidden": [8], "epochs": 7, "batch": 256}`},
		{multitask.Kind(), `{"dim": 8, "shared": 8, "tower": 4, "epochs": 7, "batch": 256}`},
	}
}

// A run that is cut short after any epoch and taken up again ends in the same
// model, bit by bit, the same epochs judged.
func TestResumeEndsInTheSameModel(t *testing.T) {
	train, validate := parts(t)
	for _, c := range kinds() {
		in := models.FitInput{Train: train, Validate: validate, Params: json.RawMessage(c.params), Seed: 3, Workers: 2}
		whole, epochs := []float64(nil), 0
		in.Progress = func(p models.Progress) { whole = append(whole, p.Figures["ndcg@10"]) }
		m, err := c.kind.Fit(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		want := saved(t, m)
		in.Checkpoint = filepath.Join(t.TempDir(), "state.safetensors")
		var got []float64
		for cut := 0; ; cut++ {
			ctx, cancel := context.WithCancel(context.Background())
			in.Progress = func(p models.Progress) {
				got = append(got, p.Figures["ndcg@10"])
				epochs++
				if cut < 3 && epochs%2 == 0 {
					cancel()
				}
			}
			m, err = c.kind.Fit(ctx, in)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(got, whole) {
			t.Errorf("%s: got judgements %v, want %v", c.kind.Name, got, whole)
		}
		if !reflect.DeepEqual(saved(t, m), want) {
			t.Errorf("%s: the resumed run ends in another model", c.kind.Name)
		}
		in.Progress = func(models.Progress) { t.Errorf("%s: learnt on after the end", c.kind.Name) }
		if m, err = c.kind.Fit(context.Background(), in); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(saved(t, m), want) {
			t.Errorf("%s: the finished run gives another model", c.kind.Name)
		}
	}
}

// A checkpoint of another fit is refused, whatever is other about it.
func TestCheckpointOfAnotherFit(t *testing.T) {
	train, _ := parts(t)
	c := kinds()[0]
	base := models.FitInput{Train: train, Params: json.RawMessage(`{"dim": 8, "epochs": 1, "window": 8}`), Seed: 3, Workers: 1, Checkpoint: filepath.Join(t.TempDir(), "state")}
	if _, err := c.kind.Fit(context.Background(), base); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*models.FitInput){
		"seed":       func(in *models.FitInput) { in.Seed = 4 },
		"parameters": func(in *models.FitInput) { in.Params = json.RawMessage(`{"dim": 8, "epochs": 2, "window": 8}`) },
		"workers":    func(in *models.FitInput) { in.Workers = 2 },
		"data": func(in *models.FitInput) {
			in.Train = train.Keep(func(_ int, at int64) bool { return at > 0 })
		},
	} {
		in := base
		change(&in)
		if _, err := c.kind.Fit(context.Background(), in); !errors.Is(err, nn.ErrCheckpoint) {
			t.Errorf("other %s: got %v, want ErrCheckpoint", name, err)
		}
	}
	if err := os.WriteFile(base.Checkpoint, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.kind.Fit(context.Background(), base); !errors.Is(err, nn.ErrCheckpoint) {
		t.Errorf("nonsense: got %v, want ErrCheckpoint", err)
	}
}

// Patience ends a run whose judgement no longer rises, and the weights that
// were best are the model's.
func TestStopsEarly(t *testing.T) {
	train, validate := parts(t)
	for _, c := range kinds() {
		var values []float64
		m, err := c.kind.Fit(context.Background(), models.FitInput{
			Train: train, Validate: validate, Seed: 3, Workers: 1,
			Params:   json.RawMessage(c.params[:len(c.params)-1] + `, "epochs": 200, "patience": 3}`),
			Progress: func(p models.Progress) { values = append(values, p.Figures["ndcg@10"]) },
		})
		if err != nil || m == nil {
			t.Fatal(err)
		}
		n := len(values)
		if n >= 200 || n < 4 {
			t.Fatalf("%s: got %d epochs, want an early stop", c.kind.Name, n)
		}
		best := 0
		for i, v := range values {
			if v > values[best] {
				best = i
			}
		}
		if n-1-best != 3 {
			t.Errorf("%s: got a stop %d epochs after the best, want 3: %v", c.kind.Name, n-1-best, values)
		}
	}
}
