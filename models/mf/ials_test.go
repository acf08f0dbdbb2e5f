package mf_test

import (
	"testing"

	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/modeltest"
)

func TestIALS(t *testing.T) {
	for name, params := range map[string]string{
		"default": ``, "cg": `{"solver": "cg"}`, "recency": `{"recency": 20}`, "fuse": `{"content": "fuse"}`,
	} {
		t.Run(name, func(t *testing.T) { modeltest.Run(t, mf.IALS(), modeltest.Options{Params: params}) })
	}
}
