package hybrid

import "fmt"

const (
	turns    = 5   // of leaving cases out, to ask what weights learnt from the others are worth to them
	some     = 20  // cases from which on that is asked: fewer cannot tell
	few      = 500 // cases up to which that is asked: of more, what is learnt from some holds for others
	doubtful = .5  // standard errors of its gain that what is less plain has to be ahead by
)

// crossed is the NDCG at k of each case under the weights that learn finds
// without its user's.
func crossed(lists []list, k int, learn func([]list) []float64) []float64 {
	out := make([]float64, len(lists))
	for turn := range turns {
		var others, own []list
		var at []int
		for i, l := range lists {
			if l.user%turns == turn {
				own, at = append(own, l), append(at, i)
			} else {
				others = append(others, l)
			}
		}
		if len(own) == 0 || len(others) == 0 {
			continue
		}
		for i, g := range gains(own, learn(others), k) {
			out[at[i]] = g
		}
	}
	return out
}

// alone are weights of one part only.
func alone(part, parts int) []float64 {
	w := make([]float64, parts)
	w[part] = 1
	return w
}

// foremost is the part that is best by itself.
func foremost(lists []list, parts, k int) []float64 {
	best, value := alone(0, parts), -1.
	for part := range parts {
		w := alone(part, parts)
		if v := ndcg(lists, w, k); v > value {
			best, value = w, v
		}
	}
	return best
}

// sober is the weights that learn finds, unless plainer ones are within half an error
// of what they give cases that they were not learnt from: popularity alone, or
// the part that is best by itself. It says which, and why; with so few or so
// many cases that it does not ask, "".
func sober(lists []list, parts, cold, k int, learn func([]list) []float64) (w []float64, why string) {
	if cold < 0 || len(lists) < some || len(lists) > few {
		return learn(lists), ""
	}
	rules := []struct {
		name  string
		learn func([]list) []float64
	}{
		{"popularity alone", func([]list) []float64 { return alone(cold, parts) }},
		{"the best part alone", func(l []list) []float64 { return foremost(l, parts, k) }},
		{"learnt weights", learn},
	}
	best, gained := 0, []float64(nil)
	for i, r := range rules {
		got := crossed(lists, k, r.learn)
		why += fmt.Sprintf(", %s %.4f", r.name, mean(got))
		if gained == nil || better(got, gained, doubtful) {
			best, gained = i, got
		}
	}
	return rules[best].learn(lists), fmt.Sprintf("%s, by NDCG@%d of %d cases left out in %d turns: %s", rules[best].name, k, len(lists), turns, why[2:])
}

func mean(v []float64) float64 {
	sum := 0.
	for _, x := range v {
		sum += x
	}
	return sum / float64(max(len(v), 1))
}
