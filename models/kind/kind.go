// Package kind lists every kind of model by name. It imports the packages of
// all families, and only programs import it.
package kind

import (
	"fmt"
	"sort"
	"strings"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/content"
	"github.com/attune-rec/attune/models/graph"
	"github.com/attune-rec/attune/models/hybrid"
	"github.com/attune-rec/attune/models/imported"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/ltr"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/multitask"
	"github.com/attune-rec/attune/models/neural"
	"github.com/attune-rec/attune/models/popular"
	"github.com/attune-rec/attune/models/sequence"
	"github.com/attune-rec/attune/models/together"
)

// All lists every kind by name.
func All() []models.Kind {
	all := []models.Kind{
		content.Kind(),
		content.SmoothKind(),
		graph.GFCF(),
		graph.LowPass(),
		hybrid.Kind(),
		imported.Kind(),
		knn.EASE(),
		knn.Item(),
		knn.Path(),
		knn.SLIM(),
		knn.User(),
		ltr.Kind(),
		mf.BPR(),
		mf.IALS(),
		multitask.Kind(),
		neural.GMF(),
		neural.MLP(),
		neural.NeuMF(),
		popular.Kind(),
		sequence.GRU(),
		sequence.LSTM(),
		sequence.Markov(),
		sequence.SASRec(),
		together.Kind(),
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// Of is the kind of that name; models.ErrKind, with the names there are, when
// there is none.
func Of(name string) (models.Kind, error) {
	for _, k := range All() {
		if k.Name == name {
			return k, nil
		}
	}
	return models.Kind{}, fmt.Errorf("%w %q: expected one of %s", models.ErrKind, name, strings.Join(Names(), ", "))
}

// Names lists the names of all kinds.
func Names() []string {
	var names []string
	for _, k := range All() {
		names = append(names, k.Name)
	}
	return names
}
