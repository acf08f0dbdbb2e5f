package mf

import (
	"context"
	"fmt"
	"math"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/taste"
)

// KindBPR is the name of Bayesian personalised ranking.
const KindBPR = "bpr"

// BPRParams are those of "bpr".
type BPRParams struct {
	Factors        int     `json:"factors"`
	Epochs         int     `json:"epochs"`
	Rate           float64 `json:"rate"`           // of learning, falling to 0 over the epochs
	Regularisation float64 `json:"regularisation"` // for each choice of a user, and of an item
	// Popularity is the exponent with which an item's chance of being drawn as
	// what was not chosen grows with its number of users: 0 draws evenly, 1 as
	// often as it is met.
	Popularity float64 `json:"popularity"`
	// Correction is how much of the logarithm of an item's chance of being drawn
	// is taken from its score in training: with 1 it does not matter to what is
	// learnt how items are drawn, with 0 items are held back that are drawn often.
	Correction float64 `json:"correction"`
	// Draws is how many items are drawn for a batch of choices, each of which is
	// ranked above all of them at once. With 1 each choice has a draw of its own,
	// which is BPR as it was published.
	Draws    int     `json:"draws"`
	Batch    int     `json:"batch"`  // choices that share draws
	Spread   float64 `json:"spread"` // standard deviation of a first vector's length
	Patience int     `json:"patience"`
	Pool     int     `json:"pool"`  // items a history is ranked above when it is folded in
	Steps    int     `json:"steps"` // of folding in
	taste.Options
}

// BPRDefaults are the parameters of "bpr" where none are given.
func BPRDefaults() BPRParams {
	return BPRParams{
		Factors: 128, Epochs: 16, Rate: .2, Regularisation: .15, Popularity: .5, Correction: 1,
		Draws: 256, Batch: 128, Spread: .1, Patience: 5, Pool: 1000, Steps: 20,
	}
}

func (p *BPRParams) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"factors", float64(p.Factors), 1, 4096}, {"epochs", float64(p.Epochs), 1, 10_000}, {"rate", p.Rate, 1e-6, 10},
		{"regularisation", p.Regularisation, 0, 10}, {"popularity", p.Popularity, 0, 2}, {"correction", p.Correction, 0, 1},
		{"draws", float64(p.Draws), 1, 100_000}, {"batch", float64(p.Batch), 1, 10_000}, {"spread", p.Spread, 1e-6, 100},
		{"patience", float64(p.Patience), 0, 10_000}, {"pool", float64(p.Pool), 1, 100_000}, {"steps", float64(p.Steps), 1, 1000},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	return nil
}

// BPR is the kind "bpr" (Rendle, Freudenthaler, Gantner, Schmidt-Thieme 2009,
// "BPR: Bayesian Personalized Ranking from Implicit Feedback"). What was not
// chosen is drawn by popularity, and a choice is ranked above many draws at once
// by the softmax of which BPR's loss is the case of one draw (Bengio and Senécal
// 2008, "Adaptive Importance Sampling to Accelerate Training of a Neural
// Probabilistic Language Model": the correction by the chance of a draw; Wu et
// al. 2022, "On the Effectiveness of Sampled Softmax Loss for Item
// Recommendation"). Training is parallel without shared writes, so the model is
// the same for one seed and one number of workers.
func BPR() models.Kind {
	return models.Kind{
		Name:     KindBPR,
		Summary:  "vectors that rank what was chosen above what was not",
		Defaults: BPRDefaults(),
		Fit:      fitBPR,
		Open:     openBPR,
		Space: []models.Range{
			{Param: "factors", Values: []any{64, 128, 256}}, {Param: "rate", Low: .05, High: .4, Log: true},
			{Param: "regularisation", Low: .03, High: .3, Log: true}, {Param: "popularity", Low: 0, High: 1}, {Param: "draws", Values: []any{64, 256, 1024}},
		},
	}
}

func fitBPR(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := BPRDefaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	weigher, err := taste.New(p.Options, in.Weights)
	if err != nil {
		return nil, err
	}
	p.Options = weigher.Options()
	seen := weigher.Matrix(in.Train, false)
	if seen.NNZ() == 0 {
		return nil, fmt.Errorf("fit %s: the data has no interaction that speaks for an item", KindBPR)
	}
	t := newTrainer(in, p, seen)
	best := stopper{patience: p.Patience}
	for epoch := 1; epoch <= p.Epochs; epoch++ {
		loss := t.epoch(epoch)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if math.IsNaN(loss) {
			return nil, fmt.Errorf("fit %s: the loss is not a number in epoch %d: lower the rate of %v", KindBPR, epoch, p.Rate)
		}
		figures := map[string]float64{"objective": loss}
		done := false
		if in.Validate != nil && p.Patience > 0 {
			m := t.model(weigher)
			figures["ndcg@20"] = ndcg(m, in.Train, in.Validate, t.workers)
			done = best.offer(m, figures["ndcg@20"])
		}
		if in.Progress != nil {
			in.Progress(models.Progress{Step: epoch, Steps: p.Epochs, Stage: "iteration", Figures: figures})
		}
		if done {
			break
		}
	}
	if best.model != nil {
		return best.model, nil
	}
	return t.model(weigher), nil
}
