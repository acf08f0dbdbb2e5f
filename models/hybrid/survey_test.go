package hybrid

import (
	"fmt"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// TestStarsAreOpinions tells ratings from third columns that are something else.
func TestStarsAreOpinions(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float32
		want   bool
	}{
		{"stars", []float32{5, 3, 4, 1, 2}, true},
		{"good ones only", []float32{4, 5}, true},
		{"always 1", []float32{1}, false},
		{"plays", []float32{1, 17, 240, 3}, false},
		{"hardly ever good", append([]float32{4}, make([]float32, 29)...), false},
	} {
		var b dataset.Builder
		for i := range 60 {
			value := max(c.values[i%len(c.values)], 1)
			b.Add(fmt.Sprint("u", i/6), fmt.Sprint("i", i%7), "", features.Interaction{Type: features.Rating, Value: value, TimeMS: int64(i + 1)})
		}
		if got := survey(b.Build()).Stars; got != c.want {
			t.Errorf("%s: got stars %t, want %t", c.name, got, c.want)
		}
	}
}
