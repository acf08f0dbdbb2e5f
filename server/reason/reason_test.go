package reason

import (
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

func TestText(t *testing.T) {
	w := New()
	for _, c := range []struct {
		locale, title string
		r             pipeline.Reason
		want          string
	}{
		{"", "RED MUG", pipeline.Reason{Kind: pipeline.BecauseOf, Type: features.Purchase}, "because you bought RED MUG"},
		{"en-GB", "RED MUG", pipeline.Reason{Kind: pipeline.BecauseOf, Type: features.Search}, "because of your interest in RED MUG"},
		{"fr", "RED MUG", pipeline.Reason{Kind: pipeline.BoughtWith}, "often bought with RED MUG"},
		{"not a locale", "RED MUG", pipeline.Reason{Kind: pipeline.SimilarTo, Type: features.View}, "similar to RED MUG, which you looked at"},
		{"de-AT", "ROTE TASSE", pipeline.Reason{Kind: pipeline.BecauseOf, Type: features.CartAdd}, "weil „ROTE TASSE“ in Ihrem Warenkorb liegt"},
		{"zh-Hans-CN", "红杯", pipeline.Reason{Kind: pipeline.BecauseOf, Type: features.View}, "因为您浏览过“红杯”"},
		{"zh", "", pipeline.Reason{Kind: pipeline.PopularIn, Name: "Germany"}, "在德国很受欢迎"},
		{"de", "", pipeline.Reason{Kind: pipeline.PopularIn, Name: "FR"}, "beliebt in Frankreich"},
		{"en", "", pipeline.Reason{Kind: pipeline.PopularIn, Name: "EIRE"}, "popular in EIRE"},
		{"en", "", pipeline.Reason{Kind: pipeline.PopularIn}, ""},
		{"en", "", pipeline.Reason{Kind: pipeline.BecauseOf, Type: features.View}, ""},
		{"en", "", pipeline.Reason{Kind: pipeline.Popular}, "popular now"},
		{"en", "x", pipeline.Reason{}, ""},
	} {
		if got := w.Text(w.Language(c.locale), c.r, c.title); got != c.want {
			t.Errorf("%s %+v: got %q, want %q", c.locale, c.r, got, c.want)
		}
	}
}

func TestEveryLanguageSaysEverything(t *testing.T) {
	w := New()
	kinds := []pipeline.ReasonKind{
		pipeline.BecauseOf, pipeline.BoughtWith, pipeline.SimilarTo, pipeline.PopularIn, pipeline.Popular,
		pipeline.NewArrival, pipeline.NextAfter, pipeline.BuyAgain, pipeline.ForInterest,
	}
	for i := range w.tongues {
		tongue := &w.tongues[i]
		for _, kind := range kinds {
			if tongue.sentences[kind] == "" {
				t.Errorf("%s has no sentence for %s", tongue.tag, kind)
			}
		}
		for typ := range w.tongues[0].because {
			if !strings.Contains(tongue.because[typ], "{}") {
				t.Errorf("%s does not say because of which item for %s", tongue.tag, typ)
			}
		}
		for typ := range w.tongues[0].similar {
			if !strings.Contains(tongue.similar[typ], "{}") {
				t.Errorf("%s does not say similar to which item for %s", tongue.tag, typ)
			}
		}
	}
}
