package mf_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/modeltest"
)

// markets is shoppers who buy six items: of the twenty of their market where
// apart, else of all forty.
func markets(apart bool) *dataset.Dataset {
	rng := rand.New(rand.NewPCG(3, 4))
	var b dataset.Builder
	for i := range 40 {
		b.Item(fmt.Sprint("item", i))
	}
	for u := range 1200 {
		market, from := "DE", 0
		if u%3 == 0 {
			market, from = "FR", 20
		}
		if u >= 1190 {
			market = "MT" // too few to speak of
		}
		for range 6 {
			item := rng.IntN(40)
			if apart {
				item = from + rng.IntN(20)
			}
			b.Add(fmt.Sprint("user", u), fmt.Sprint("item", item), market, features.Interaction{Type: features.Purchase, TimeMS: 1})
		}
	}
	return b.Build()
}

// reopened is the model as a release gives it back.
func reopened(t *testing.T, m models.Model) models.ProfileEmbedder {
	t.Helper()
	memory := modeltest.NewMemory()
	if err := m.Save(memory.Writer()); err != nil {
		t.Fatal(err)
	}
	opened, err := mf.IALS().Open(memory.Reader())
	if err != nil {
		t.Fatal(err)
	}
	return opened.(models.ProfileEmbedder)
}

// leadsTo checks that what is known of a new shopper, called name, ranks the
// twenty items from the given one first, without allocating, and that the saved
// model says the same.
func leadsTo(t *testing.T, m *mf.ALS, saved models.ProfileEmbedder, r *features.Request, name string, from int) {
	t.Helper()
	vec, again := make([]float32, m.Dim()), make([]float32, m.Dim())
	if !m.EmbedProfile(r, vec) || !saved.EmbedProfile(r, again) {
		t.Fatalf("%s: got no vector, want one", name)
	}
	if fmt.Sprint(vec) != fmt.Sprint(again) {
		t.Errorf("%s: reopened, got %v, want %v", name, again, vec)
	}
	scores := make([]float32, m.Items())
	linalg.DotRows(vec, m.Vectors(), scores)
	for place, hit := range linalg.SelectTop(scores, 20, nil) {
		if at := int(hit.Index); at < from || at >= from+20 {
			t.Errorf("%s: place %d has item %d, want one of %d to %d", name, place, at, from, from+19)
		}
	}
	r.Channel = strings.ToLower(r.Channel) // else its lower case is made anew
	if n := testing.AllocsPerRun(20, func() { m.EmbedProfile(r, vec) }); n != 0 && !raced.On {
		t.Errorf("%s: %v allocations a request, want none", name, n)
	}
}

func TestProfileLeadsToTheTasteOfAMarket(t *testing.T) {
	m := fit(t, models.FitInput{Train: markets(true), Params: []byte(`{"factors":8}`), Seed: 1, Workers: 2})
	saved := reopened(t, m)
	for market, from := range map[string]int{"DE": 0, "FR": 20} {
		r := &features.Request{Query: features.Query{Market: market}, Item: features.NoRow}
		leadsTo(t, m, saved, r, market, from)
		if m.Embed(r, make([]float32, m.Dim())) {
			t.Errorf("%s: Embed gave a vector without a history", market)
		}
	}
	for _, market := range []string{"", "MT", "XX"} {
		r := &features.Request{Query: features.Query{Market: market}, Item: features.NoRow}
		if m.EmbedProfile(r, make([]float32, m.Dim())) {
			t.Errorf("market %q: got a vector, want none: it has too few shoppers", market)
		}
	}
}

func TestProfileSaysNothingWhereMarketsAreAlike(t *testing.T) {
	m := fit(t, models.FitInput{Train: markets(false), Params: []byte(`{"factors":8}`), Seed: 1, Workers: 2})
	r := &features.Request{Query: features.Query{Market: "DE"}, Item: features.NoRow}
	if m.EmbedProfile(r, make([]float32, m.Dim())) {
		t.Error("got a vector, want none: markets differ by chance alone")
	}
}

// manners is one market of shoppers who buy six items: those of the app of the
// first twenty where apart, else everybody of all forty.
func manners(apart bool) *dataset.Dataset {
	rng := rand.New(rand.NewPCG(5, 6))
	var b dataset.Builder
	for i := range 40 {
		b.Item(fmt.Sprint("item", i))
	}
	own := make([]dataset.Manner, 1200)
	for u := range own {
		own[u] = dataset.MannerOf([]string{"de-AT", "en"}[rng.IntN(2)], []string{"App", "web"}[u%2], []string{"phone", "desktop"}[rng.IntN(2)])
		if u >= 1190 {
			own[u].Channel = "kiosk" // too few to speak of
		}
		for range 6 {
			item := rng.IntN(40)
			if apart {
				item = 20*(u%2) + rng.IntN(20)
			}
			b.Add(fmt.Sprint("user", u), fmt.Sprint("item", item), "", features.Interaction{Type: features.Purchase, TimeMS: 1})
		}
	}
	d := b.Build()
	d.Manners = own
	return d
}

func TestProfileLeadsToTheTasteOfAChannel(t *testing.T) {
	m := fit(t, models.FitInput{Train: manners(true), Params: []byte(`{"factors":8}`), Seed: 1, Workers: 2})
	saved := reopened(t, m)
	for channel, from := range map[string]int{"app": 0, "WEB": 20} {
		r := &features.Request{Query: features.Query{Market: "DE", Locale: "fr-BE", Channel: channel}, Item: features.NoRow}
		leadsTo(t, m, saved, r, channel, from)
	}
	r := &features.Request{Query: features.Query{Channel: "kiosk"}, Item: features.NoRow}
	if m.EmbedProfile(r, make([]float32, m.Dim())) {
		t.Error("got a vector of ten shoppers, want none")
	}
}

func TestProfileLeadsToTheTasteOfADevice(t *testing.T) {
	d := manners(true)
	for u := range d.Manners {
		d.Manners[u] = dataset.MannerOf("de", "", []string{"Phone", "desktop"}[u%2])
	}
	m := fit(t, models.FitInput{Train: d, Params: []byte(`{"factors":8}`), Seed: 1, Workers: 2})
	saved := reopened(t, m)
	for device, from := range map[string]int{"phone": 0, "desktop": 20} {
		r := &features.Request{Query: features.Query{Market: "DE", Device: device}, Item: features.NoRow}
		leadsTo(t, m, saved, r, device, from)
	}
}

func TestProfileSaysNothingWhereChannelsAreAlike(t *testing.T) {
	m := fit(t, models.FitInput{Train: manners(false), Params: []byte(`{"factors":8}`), Seed: 1, Workers: 2})
	r := &features.Request{Query: features.Query{Locale: "de", Channel: "app"}, Item: features.NoRow}
	if m.EmbedProfile(r, make([]float32, m.Dim())) {
		t.Error("got a vector, want none: channels and languages differ by chance alone")
	}
}
