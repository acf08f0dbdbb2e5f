package hybrid

import (
	"encoding/json"
	"math"
	"sort"
)

// Choice is a part that is fitted for the sum.
type Choice struct {
	Name   string          `json:"name"` // in the release
	Kind   string          `json:"kind"`
	Params json.RawMessage `json:"params,omitempty"`
	Weight float64         `json:"weight"`
}

// candidate is a part that may be tried.
type candidate struct {
	Choice
	prior float64 // weight before anything is measured, 1 for a strong part
	need
	why   string
	asked bool // by whoever gave the parameters: what is wrong with it is an error
}

// prefix sets the parts that a hybrid fits by itself apart from models of the
// same release.
const prefix = "hybrid."

// lasting are the half-lives, in newer interactions, that histories are tried
// with.
var lasting = []float64{5, 20}

// starFactors are the weights of ratings in a history that leans on what was
// liked.
var starFactors = []float64{.3, .3, .7, 1, 1}

// plenty is the interactions from which on every family of parts is worth its
// full prior weight.
const plenty = 100_000

// ripe is how much of its prior weight a part deserves that has to learn its
// numbers from this many interactions, 0 to 1: of a few hundred, walks over
// common users and what sells say nearly all that can be said.
func ripe(pairs int) float64 {
	return math.Min(1, math.Pow(float64(max(pairs, 1))/plenty, .55))
}

// candidates are the parts that are worth trying on data of these facts,
// the most valuable first.
func candidates(f Facts, p Params) []candidate {
	var out []candidate
	learnt := ripe(f.Pairs)
	add := func(name, kind string, prior, bytes float64, params map[string]any, why string) {
		raw, _ := json.Marshal(params) // numbers, strings and slices of them always can
		if len(params) == 0 {
			raw = nil
		}
		out = append(out, candidate{Choice: Choice{Name: prefix + name, Kind: kind, Params: raw}, prior: prior, need: need{bytes: bytes}, why: why})
	}
	// recent adds what leans on the newest interactions.
	recent := func(name, kind string, prior, bytes float64, params map[string]any) {
		for i, n := range lasting {
			own := map[string]any{"recency": n}
			for k, v := range params {
				own[k] = v
			}
			if f.Stars {
				own["stars"] = starFactors
			}
			add(name+[]string{"-session", "-recent"}[i], kind, prior/2, bytes, own, "there are times: the newest interactions may say more")
		}
	}
	// Of a few hundred interactions, what sells says as much as any walk.
	add("popular", cold, max(.06-.04*learnt, math.Pow(1-learnt, 6)), 0, nil, "speaks for shoppers of whom nothing is known")
	pairs := f.Pairs
	base := 16 * math.Round(math.Sqrt(float64(pairs))/80)
	sizes := []float64{math.Max(32, 16*math.Round(base*.7/16)), math.Max(64, 16*math.Round(base*1.4/16))}
	if f.Density < sparse {
		sizes = []float64{math.Max(64, 16*math.Round(4.5*base/16))}
	}
	most := 1024.
	switch {
	case pairs > 10_000_000:
		most = 128
	case pairs > 3_000_000:
		most = 256
	}
	for i, size := range sizes {
		name := []string{"factors", "factors-wide"}[i]
		factors := shrink(p, int(math.Min(size, most)), fewest16, 16, func(n int) float64 { return factorBytes(f, n) })
		params := map[string]any{"factors": factors}
		why := "the strongest single family; more numbers where pairs are rare"
		if i > 0 {
			why = "factors of another length err differently"
		}
		if f.Words {
			// Where people say little of an item, its contents say where it belongs.
			params["content"] = "fuse"
		}
		add(name, "ials", learnt/float64(len(sizes)), factorBytes(f, factors), params, why)
		if f.Timed && i == 0 {
			recent(name, "ials", .5*learnt, factorBytes(f, factors), params)
		}
	}
	if f.Items <= 8192 {
		add("ease", "ease", learnt, denseBytes(f), nil, "the catalogue is small enough for exact regression of items on items")
		if f.Timed {
			recent("ease", "ease", learnt, denseBytes(f), nil)
		}
	}
	if f.Density < sparse {
		var params map[string]any // as many as it takes by itself
		factors := shrink(p, widest, fewest16, 16, func(n int) float64 { return filterBytes(f, n) })
		if factors < widest {
			params = map[string]any{"factors": factors}
		}
		add("low-pass", "low-pass", .4*learnt, filterBytes(f, factors), params, "pairs are rare: smooth signals on the graph reach further")
	}
	walks := map[string]any{"user": .6}
	neighbours := shrink(p, voters, fewVoters, 20, func(n int) float64 { return walkBytes(f, n) })
	if neighbours < voters {
		walks["neighbours"] = neighbours
	}
	add("paths", "path-knn", 1-.6*learnt, walkBytes(f, neighbours), walks, "walks over common users see what factors smooth away")
	if f.Timed {
		recent("paths", "path-knn", .4*learnt, walkBytes(f, neighbours), walks)
	}
	if f.Words {
		var params map[string]any
		if neighbours < voters {
			params = map[string]any{"neighbours": neighbours}
		}
		add("content-paths", "content-knn", 1-.4*learnt, walkBytes(f, neighbours), params, "contents join items that no user has in common")
		add("content", "content", .6-.3*learnt, filterBytes(Facts{Items: 2 * f.Items}, 128), nil, "the catalogue has words: items are known before anyone bought them")
	}
	if len(p.Content) > 0 {
		out = append(out, candidate{
			Choice: Choice{Name: prefix + "content-given", Kind: "content", Params: p.Content}, prior: .3, asked: true,
			why: "contents as the parameters have them",
		})
	}
	out = append(out, ordered(f)...)
	sort.SliceStable(out, func(a, b int) bool { return out[a].prior > out[b].prior })
	return out
}
