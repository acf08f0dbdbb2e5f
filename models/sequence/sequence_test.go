package sequence_test

import (
	"testing"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/sequence"
)

// small is enough for a board of 50 users.
const small = `{"dim": 32, "epochs": 20, "tokens": 200, "dropout": 0.1, "rate": 0.01}`

func TestNetworks(t *testing.T) {
	for _, kind := range []models.Kind{sequence.GRU(), sequence.LSTM(), sequence.SASRec()} {
		t.Run(kind.Name, func(t *testing.T) {
			modeltest.Run(t, kind, modeltest.Options{Params: small, InOrder: true})
		})
	}
}
