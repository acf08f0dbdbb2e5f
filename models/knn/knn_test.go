package knn_test

import (
	"testing"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/modeltest"
)

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		kind   models.Kind
		params []string
	}{
		{knn.Path(), []string{``, `{"preset": "p3alpha"}`, `{"preset": "rp3beta", "recency": 30}`}},
		{knn.Item(), []string{``, `{"similarity": "jaccard", "weighting": "plain"}`, `{"similarity": "euclidean", "weighting": "tfidf"}`}},
		{knn.EASE(), []string{``, `{"neighbours": 30, "recency": 30}`}},
		{knn.User(), []string{``, `{"reverse": false}`, `{"similarity": "pearson", "weighting": "tfidf"}`, `{"weighting": "plain", "recency": 30}`}},
		{knn.SLIM(), []string{``, `{"lasso": 0.001, "non_negative": true}`}},
	} {
		for _, params := range c.params {
			t.Run(c.kind.Name+params, func(t *testing.T) { modeltest.Run(t, c.kind, modeltest.Options{Params: params}) })
		}
	}
}
