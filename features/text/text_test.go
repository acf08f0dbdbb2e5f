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
	if _, err := NewVectoriser([]string{"a", "a"}, []float32{1, 1}, 0); err == nil {
		t.Error("a term that is there twice was taken")
	}
}

// TestBM25 compares with the formula worked out by hand; unknown terms do not
// make a document longer, and what was kept of a vectoriser gives the same again.
func TestBM25(t *testing.T) {
	docs := [][]string{{"red", "mug"}, {"blue", "mug"}, {"red", "red", "red", "scarf", "mug"}, nil}
	v := FitBM25(docs, 2, 0)
	if want := []string{"mug", "red"}; !slices.Equal(v.Terms(), want) || v.Mean() != 7./4 {
		t.Fatalf("got terms %q, %v in a document, want %q and 7/4", v.Terms(), v.Mean(), want)
	}
	weight := func(tf, length, df float64) float64 {
		return tf * 2.2 / (tf + 1.2*(.25+.75*length/1.75)) * math.Log(1+(4-df+.5)/(df+.5))
	}
	mug, red := weight(1, 4, 3), weight(3, 4, 2)
	norm := math.Sqrt(mug*mug + red*red)
	again, err := NewVectoriser(v.Terms(), v.IDF(), v.Mean())
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]*Vectoriser{"fitted": v, "kept": again} {
		ids, values := v.Vector(docs[2])
		if !slices.Equal(ids, []int32{0, 1}) || math.Abs(float64(values[0])-mug/norm) > 1e-6 || math.Abs(float64(values[1])-red/norm) > 1e-6 {
			t.Errorf("%s: got %v, %v, want %v and %v", name, ids, values, mug/norm, red/norm)
		}
	}
	if _, err := NewVectoriser(nil, nil, math.NaN()); err == nil {
		t.Error("a mean that is no number was taken")
	}
}
