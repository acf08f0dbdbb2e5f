package training

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/models"
)

// Fit is models.Kind's Fit of the kind of that name: prepare turns the input
// into what is to be trained, run trains it. Errors name the kind.
func Fit[T any, M models.Model](name string, prepare func(models.FitInput) (T, error),
	run func(T, context.Context) (M, error)) func(context.Context, models.FitInput) (models.Model, error) {
	return func(ctx context.Context, in models.FitInput) (models.Model, error) {
		t, err := prepare(in)
		if err != nil {
			return nil, fmt.Errorf("fit %s: %w", name, err)
		}
		m, err := run(t, ctx)
		if err != nil {
			return nil, fmt.Errorf("fit %s: %w", name, err)
		}
		return m, nil
	}
}
