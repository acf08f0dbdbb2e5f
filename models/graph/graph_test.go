package graph_test

import (
	"testing"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/graph"
	"github.com/attune-rec/attune/models/modeltest"
)

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		kind   models.Kind
		params []string
	}{
		{graph.LowPass(), []string{``, `{"factors": 2, "sharpen": 0.2, "recency": 30}`}},
		{graph.GFCF(), []string{``, `{"factors": 2, "alpha": 1}`}},
	} {
		for _, params := range c.params {
			t.Run(c.kind.Name+params, func(t *testing.T) { modeltest.Run(t, c.kind, modeltest.Options{Params: params}) })
		}
	}
}
