package training

import (
	"context"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
)

// criterion is the metric by which weights are kept.
const criterion = "ndcg@10"

// judge is NDCG@10 over a sample of the validation's cases; nil where there is
// none.
func judge[M models.Model](in models.FitInput, p Plan) func(context.Context, M) (float64, error) {
	if in.Validate == nil {
		return nil
	}
	metrics, err := eval.ParseMetrics([]string{criterion})
	if err != nil {
		return nil
	}
	task := eval.Task{History: in.Train, Test: in.Validate}
	options := eval.Options{Metrics: metrics, Workers: p.Workers, MaxCases: p.Cases, Seed: in.Seed, KeepSeen: p.KeepSeen}
	cases, err := eval.Plan(task, options)
	if err != nil || len(cases.User) == 0 {
		return nil // a validation without a case to judge is none
	}
	return func(ctx context.Context, m M) (float64, error) {
		res, err := eval.Run(ctx, m, task, cases, options)
		if err != nil {
			return 0, err
		}
		return res.Whole[0], nil
	}
}
