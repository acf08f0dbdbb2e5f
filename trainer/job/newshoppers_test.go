package job

import (
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// TestNewcomers has a shopper of training, one with too few events, and one
// with enough: only the last is judged, on the same items each time.
func TestNewcomers(t *testing.T) {
	var train, test dataset.Builder
	for _, b := range []*dataset.Builder{&train, &test} {
		for _, u := range []string{"known", "brief", "new"} {
			b.User(u)
		}
		for _, i := range []string{"a", "b", "c", "d", "e"} {
			b.Item(i)
		}
	}
	train.Add("known", "a", "", features.Interaction{Type: features.Purchase})
	for user, items := range map[string]string{"known": "bcde", "brief": "ab", "new": "abcde"} {
		for _, item := range items {
			test.Add(user, string(item), "", features.Interaction{Type: features.Purchase})
		}
	}
	s := &dataset.Split{Train: train.Build(), Test: test.Build()}
	tasks := newcomers(s, []int{0, 1, 2})
	for n, task := range tasks {
		if err := task.History.Validate(); err != nil {
			t.Fatal(err)
		}
		for u, name := range task.Test.Users {
			history, truth := len(task.History.History(u)), len(task.Test.History(u))
			wantHistory, wantTruth := 0, 0
			if name == "new" {
				wantHistory, wantTruth = n, 3
			}
			if history != wantHistory || truth != wantTruth {
				t.Errorf("%s after %d events: got %d events and %d to be found, want %d and %d", name, n, history, truth, wantHistory, wantTruth)
			}
		}
	}
}
