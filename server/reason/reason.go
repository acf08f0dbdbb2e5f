// Package reason puts the reasons of an answer into words: English, Chinese and
// German, by the sort of reason and by what the shopper did. It says only what
// the reason says, and nothing for a kind it does not know.
//
// It imports features and models/pipeline. Start reading at Words.Text; the
// sentences are in sentences.go.
package reason

import (
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// Words knows the sentences. It is immutable and safe for concurrent use.
type Words struct {
	matcher language.Matcher
	tongues []tongue
	regions map[string]language.Region // by English name, in lower case
}

// tongue is one language's sentences. In a sentence, {} stands for what the
// reason rests on: an item's title, a market, a category or a brand.
type tongue struct {
	tag       language.Tag
	regions   display.Namer
	because   map[features.EventType]string // by what the shopper did
	similar   map[features.EventType]string
	sentences map[pipeline.ReasonKind]string // for the rest, and for other events
}

// New returns the words of every language there is. It takes a few
// milliseconds: make it once.
func New() *Words {
	w := &Words{tongues: []tongue{english(), chinese(), german()}, regions: map[string]language.Region{}}
	tags := make([]language.Tag, len(w.tongues))
	for i := range w.tongues {
		tags[i] = w.tongues[i].tag
	}
	w.matcher = language.NewMatcher(tags)
	names := display.English.Regions()
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			r, err := language.ParseRegion(string([]rune{a, b}))
			if err == nil && r.IsCountry() {
				w.regions[strings.ToLower(names.Name(r))] = r
			}
		}
	}
	return w
}

// Language is the number of the language that suits a BCP 47 locale best:
// English when there is none.
func (w *Words) Language(locale string) int {
	if locale == "" {
		return 0
	}
	tag, err := language.Parse(locale)
	if err != nil {
		return 0
	}
	_, i, confidence := w.matcher.Match(tag)
	if confidence == language.No {
		return 0
	}
	return i
}

// Text is the sentence for r in the language that Language numbered. title is
// the title of r.Item in that language, or its id. It is "" when there is
// nothing to say: no kind, or a sentence about an item without a title.
func (w *Words) Text(lang int, r pipeline.Reason, title string) string {
	t := &w.tongues[lang]
	sentence, subject := t.sentences[r.Kind], title
	switch r.Kind {
	case pipeline.BecauseOf:
		if s, ok := t.because[r.Type]; ok {
			sentence = s
		}
	case pipeline.SimilarTo:
		if s, ok := t.similar[r.Type]; ok {
			sentence = s
		}
	case pipeline.PopularIn:
		subject = w.market(t, r.Name)
	case pipeline.ForInterest:
		subject = r.Name
	}
	before, after, found := strings.Cut(sentence, "{}")
	if !found {
		return sentence
	}
	if subject == "" {
		return ""
	}
	return before + subject + after
}

// market is a market's name in the language: countries, by code or by English
// name, are translated; the shop's own names stay.
func (w *Words) market(t *tongue, name string) string {
	r, ok := w.regions[strings.ToLower(name)]
	if !ok && len(name) == 2 {
		var err error
		r, err = language.ParseRegion(name)
		ok = err == nil && r.IsCountry()
	}
	if ok {
		if n := t.regions.Name(r); n != "" {
			return n
		}
	}
	return name
}
