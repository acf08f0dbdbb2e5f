package shop

import (
	"context"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/ltr"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/kit"
	"github.com/attune-rec/attune/models/vector"
)

// asked is how many shoppers the ranker learns from.
const asked = 1200

// learn is a ranker for the recipe, learnt on what shoppers took in the
// visit that the models were not shown.
func learn(ctx context.Context, recipe models.Recipe, d *dataset.Dataset, parts []models.Part, acts []act, goods []features.Item) (*ltr.Model, error) {
	recipe.Budget, recipe.Ranker = 0, models.RankerSpec{Ranker: "source"}
	set, err := signal.NewSet()
	if err != nil {
		return nil, err
	}
	p := ltr.Params{Signals: set.Names()}
	env := pipeline.Env{Models: map[string]models.Model{}, Indexes: map[string]models.Index{}}
	for _, part := range parts {
		p.Models = append(p.Models, part.Name)
		env.Models[part.Name] = part.Model
		if m, ok := part.Model.(models.Embedder); ok {
			index, err := vector.NewExact(m.Vectors(), m.Dim(), linalg.Workers())
			if err != nil {
				return nil, err
			}
			defer index.Close()
			env.Indexes[part.Name] = index
		}
	}
	for _, s := range recipe.Sources {
		p.Sources = append(p.Sources, s.Name)
	}
	inputs, err := ltr.NewInputs(p, parts)
	if err != nil {
		return nil, err
	}
	pipe, err := kit.New(recipe, env, pipeline.Options{Rows: len(goods)})
	if err != nil {
		return nil, err
	}
	// The last visits of some, in the order of time, and everything before.
	last := map[int32][]int{}
	for i, a := range acts {
		if int(a.user) < asked {
			last[a.user] = append(last[a.user], i)
		}
	}
	visit := map[int]int32{}
	for user, at := range last {
		visit[at[len(at)-4]] = user
	}
	memory := signal.NewMemory(set)
	var lists []ltr.List
	var ans pipeline.Answer
	var scratch features.Scratch
	for i, a := range acts {
		user, ok := visit[i]
		if ok {
			mine := last[user]
			taken := acts[mine[len(mine)-1]].item
			shopper := &features.Shopper{Key: key(user), Recent: d.History(int(user)), Consent: features.AllPurposes}
			r := &features.Request{
				Query: features.Query{
					Shop: features.DefaultShop, Surface: recipe.Surface, Market: market(user), Limit: 10, Now: begin.Add(time.Duration(a.at) * time.Minute),
				},
				Shopper: shopper, Item: features.NoRow, Catalog: d.Catalog, State: memory, Scratch: &scratch,
			}
			found, err := pipe.Propose(ctx, r, &ans, nil)
			if err != nil {
				return nil, err
			}
			list := ltr.List{Gain: make([]float32, len(found)), X: make([]float32, len(found)*inputs.Width())}
			rows, from := make([]features.Row, len(found)), make([]uint64, len(found))
			for k, c := range found {
				rows[k], from[k] = c.Row, c.From
				if c.Row == features.Row(taken) {
					list.Gain[k] = 1
				}
			}
			if slices.Contains(list.Gain, 1) {
				scratch.Reset()
				inputs.Fill(r, rows, from, list.X)
				lists = append(lists, list)
			}
		}
		if a.user%16 == 0 || int(a.user) < asked { // enough to know what sells
			memory.Fold(features.Event{
				Type: a.kind, User: key(a.user), Item: goods[a.item].ID, Market: market(a.user), Quantity: 1,
				Time: begin.Add(time.Duration(a.at) * time.Minute), Price: goods[a.item].PriceIn(""),
			})
		}
	}
	learnt, err := ltr.Learn(ctx, p, lists, ltr.LearnOptions{Seed: 1, Epochs: 4})
	if err != nil {
		return nil, err
	}
	return ltr.New(learnt.Params, parts)
}

func key(user int32) features.UserKey {
	return features.UserKey{1, byte(user), byte(user >> 8), byte(user >> 16)} // #nosec G115 -- its bytes
}
