package text

import (
	"math"
	"slices"
	"testing"
	"unicode/utf8"
)

func TestTokens(t *testing.T) {
	for _, c := range []struct {
		text, language string
		want           []string
	}{
		{"WHITE HANGING HEART T-LIGHT HOLDER", "", []string{"white", "hanging", "heart", "t", "light", "holder"}},
		{"women's hanging hearts", "en", []string{"women", "hang", "heart"}},
		{"Ｆｕｌｌ ｗｉｄｔｈ １２", "", []string{"full", "width", "12"}},
		{"红色陶瓷杯 350ml", "zh", []string{"红色", "色陶", "陶瓷", "瓷杯", "350ml"}},
		{"杯", "zh", []string{"杯"}},
		{"crème brûlée", "fr-CA", []string{"crem", "brûl"}},
		{" ,;! ", "en", nil},
	} {
		if got := Tokens(c.text, c.language, nil); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func FuzzTokens(f *testing.F) {
	f.Add("WHITE HANGING HEART", "en")
	f.Add("红色陶瓷杯", "zh-Hans")
	f.Add("\xff\xfe", "")
	f.Fuzz(func(t *testing.T, s, language string) {
		for _, token := range Tokens(s, language, nil) {
			if token == "" || (utf8.ValidString(s) && !utf8.ValidString(token)) {
				t.Fatalf("%q gave token %q", s, token)
			}
		}
	})
}

func TestVectoriser(t *testing.T) {
	docs := [][]string{{"red", "mug"}, {"blue", "mug"}, {"red", "red", "scarf"}, nil}
	v := Fit(docs, 2, 0)
	if want := []string{"mug", "red"}; !slices.Equal(v.Terms(), want) {
		t.Fatalf("got terms %q, want %q", v.Terms(), want)
	}
	for i, doc := range docs {
		ids, values := v.Vector(doc)
		if !slices.IsSorted(ids) || len(ids) != len(values) {
			t.Fatalf("document %d: got %v, %v", i, ids, values)
		}
		var norm float64
		for _, x := range values {
			norm += float64(x) * float64(x)
		}
		if len(ids) > 0 && math.Abs(norm-1) > 1e-6 {
			t.Errorf("document %d: got length %v, want 1", i, norm)
		}
	}
	if ids, _ := v.Vector([]string{"unheard of"}); len(ids) != 0 {
		t.Errorf("an unknown term has ids %v", ids)
	}
	if _, err := NewVectoriser([]string{"a", "a"}, []float32{1, 1}); err == nil {
		t.Error("a term that is there twice was taken")
	}
}
