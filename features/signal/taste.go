package signal

import (
	"time"

	"github.com/attune-rec/attune/features"
)

const taste = 30 * 24 * time.Hour // half life of interest

// liking is how much an interaction weighs at now.
func liking(it features.Interaction, now int64) float64 {
	w := 1.0
	switch it.Type {
	case features.Purchase:
		w = 4
	case features.CartAdd, features.WishAdd:
		w = 2
	}
	if !it.Type.Interest() {
		return 0
	}
	return w * fade(max(0, now-it.TimeMS), taste)
}

func kindOf(it *features.Item) string {
	if n := len(it.Category); n > 0 {
		return it.Category[n-1]
	}
	return ""
}
