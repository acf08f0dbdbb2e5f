package hybrid

import (
	"context"
	"errors"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// fold is parts that were trained on history, and what they are to find.
type fold struct {
	parts          []models.Part
	history, truth *dataset.Dataset
}

const (
	scant     = 20_000 // interactions up to which more than one part of the data is held out in turn
	fewCases  = 2000   // so that there are so many cases
	mostFolds = 4
)

// refold holds further parts of scant data out and fits the candidates again on
// what is left each time, until there are enough cases to choose by: of timed
// data what came before that which was held out before, of other data another
// random part.
func refold(ctx context.Context, in models.FitInput, p Params, f Facts, events *models.EventWeights, kept []candidate, first fold, clock clock) ([]fold, error) {
	var more []fold
	from, cases := in.Train, askedOf(first.history, first.truth)
	if f.Timed {
		from = first.history
	}
	for k := 1; k < mostFolds && cases < fewCases && clock.seconds() < choosing*p.BudgetSeconds; k++ {
		next := fold{}
		next.history, next.truth, _ = f.holdOut(from, events, in.Seed+uint64(k))
		if askedOf(next.history, next.truth) == 0 {
			break
		}
		for _, c := range kept {
			m, err := fitPart(ctx, in, c.Choice, next.history)
			if errors.Is(err, models.ErrParams) {
				return more, nil // too little is left for this part
			}
			if err != nil {
				return nil, err
			}
			next.parts = append(next.parts, models.Part{Name: c.Name, Model: m})
		}
		more, cases = append(more, next), cases+askedOf(next.history, next.truth)
		if f.Timed {
			from = next.history
		}
	}
	return more, nil
}
