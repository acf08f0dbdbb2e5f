package attack

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/risk"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/trainer/demo"
)

// bundled is the purchases and returns of the bundled shop.
func bundled(t *testing.T) (bought []features.Event) {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	in, size := demo.Open()
	_, err = ingest.Import(ctx, ingest.Parquet(demo.FileName, in, size), s, ingest.Options{Mapping: ingest.OnlineRetail()})
	if err == nil {
		err = s.Scan(ctx, features.DefaultShop, 0, 0, func(e *features.Event) error {
			if e.Type == features.Purchase || e.Type == features.Return {
				bought = append(bought, *e)
			}
			return nil
		})
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return bought
}

// Attacks planted in real purchases are found, honest customers are let be, and
// what an attack pushed stays where it was. The rules were chosen on other seeds
// than these: 101 to 110.
func TestPlantedAttacks(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5}
	if testing.Short() {
		seeds = seeds[:1]
	}
	bought := bundled(t)
	items, err := CatalogOf(bought)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Judge(context.Background(), bought, items, seeds, risk.Certain)
	if err != nil {
		t.Fatal(err)
	}
	for _, round := range report.Rounds {
		if round.Share > .01 {
			t.Errorf("seed %d: %d of %d honest customers are flagged, want 1 %% at most", round.Seed, round.Flagged, round.Users)
		}
		if len(round.Attacks) != len(risk.Kinds()) {
			t.Fatalf("seed %d: got %d attacks, want %d", round.Seed, len(round.Attacks), len(risk.Kinds()))
		}
		for _, o := range round.Attacks {
			if o.Recall < .8 {
				t.Errorf("seed %d, %s: %d of %d attackers are flagged, want at least 80 %%", round.Seed, o.Kind, o.Flagged, o.Attackers)
			}
			if o.Pushed < 10 {
				t.Errorf("seed %d, %s: the attack moves its item by %d places only: the test is blind", round.Seed, o.Kind, o.Pushed)
			}
			if o.Moved >= 10 {
				t.Errorf("seed %d, %s: its item moves up by %d places with the flagged events withheld, want fewer than 10", round.Seed, o.Kind, o.Moved)
			}
		}
	}
}
