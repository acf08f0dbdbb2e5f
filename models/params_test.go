package models_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/attune-rec/attune/models"
)

func TestDecodeParams(t *testing.T) {
	type params struct {
		Factors int `json:"factors"`
	}
	for raw, want := range map[string]int{``: 7, ` `: 7, `null`: 7, `{}`: 7, `{"factors": 3}`: 3} {
		p := params{Factors: 7}
		if err := models.DecodeParams(json.RawMessage(raw), &p); err != nil || p.Factors != want {
			t.Errorf("%q: got %d and %v, want %d", raw, p.Factors, err, want)
		}
	}
	for _, raw := range []string{`{"factor": 3}`, `{"factors": "3"}`, `{} {}`, `{`, `[]`} {
		p := params{}
		if err := models.DecodeParams(json.RawMessage(raw), &p); !errors.Is(err, models.ErrParams) {
			t.Errorf("%q: got %v, want ErrParams", raw, err)
		}
	}
}

func TestCheckRange(t *testing.T) {
	for _, v := range []float64{1, 2, 3} {
		if err := models.CheckRange("x", v, 1, 3); err != nil {
			t.Errorf("%v: got %v, want none", v, err)
		}
	}
	for _, v := range []float64{.9, 3.1, math.NaN(), math.Inf(1)} {
		if err := models.CheckRange("x", v, 1, 3); !errors.Is(err, models.ErrParams) {
			t.Errorf("%v: got %v, want ErrParams", v, err)
		}
	}
}
