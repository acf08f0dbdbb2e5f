package text

import (
	"fmt"
	"math"
	"sort"
)

// Vectoriser turns documents, lists of terms, into sparse vectors of length 1.
// By TF-IDF a term weighs (1 + ln tf) · idf with idf = ln((1+n)/(1+df)) + 1
// (Salton & Buckley 1988, smoothed); by BM25 (Robertson & Zaragoza 2009)
//
//	tf·(k1+1) / (tf + k1·(1 − b + b·length/mean)) · ln(1 + (n−df+½)/(df+½))
//
// where lengths count known terms. It is immutable and safe for concurrent use.
type Vectoriser struct {
	terms []string
	idf   []float32
	id    map[string]int32
	mean  float64 // known terms of a document on average, for BM25; 0: TF-IDF
}

// BM25's constants: how soon a term's count saturates, and how much a document's
// length matters.
const (
	k1 = 1.2
	b  = .75
)

// Fit learns the terms that are in at least minDocs of docs and, of those, at
// most the maxTerms in most documents (0: all), to weigh them by TF-IDF.
func Fit(docs [][]string, minDocs, maxTerms int) *Vectoriser {
	terms, df := learn(docs, minDocs, maxTerms)
	return mustVectoriser(terms, df, 0, func(df float64) float64 {
		return math.Log(float64(1+len(docs))/(1+df)) + 1
	})
}

// FitBM25 is Fit, to weigh terms by BM25.
func FitBM25(docs [][]string, minDocs, maxTerms int) *Vectoriser {
	terms, df := learn(docs, minDocs, maxTerms)
	known := make(map[string]bool, len(terms))
	for _, term := range terms {
		known[term] = true
	}
	count := 0
	for _, doc := range docs {
		for _, term := range doc {
			if known[term] {
				count++
			}
		}
	}
	mean := math.Max(1, float64(count)/math.Max(1, float64(len(docs))))
	return mustVectoriser(terms, df, mean, func(df float64) float64 {
		return math.Log1p((float64(len(docs)) - df + .5) / (df + .5))
	})
}

// learn is the terms that are kept, those in most documents first, and in how
// many each is.
func learn(docs [][]string, minDocs, maxTerms int) (terms []string, df map[string]int) {
	df = map[string]int{}
	seen := map[string]int{}
	for i, doc := range docs {
		for _, term := range doc {
			if seen[term] != i+1 {
				seen[term] = i + 1
				df[term]++
			}
		}
	}
	terms = make([]string, 0, len(df))
	for term, n := range df {
		if n >= minDocs {
			terms = append(terms, term)
		}
	}
	sort.Slice(terms, func(a, b int) bool {
		if df[terms[a]] != df[terms[b]] {
			return df[terms[a]] > df[terms[b]]
		}
		return terms[a] < terms[b]
	})
	if maxTerms > 0 && len(terms) > maxTerms {
		terms = terms[:maxTerms]
	}
	return terms, df
}

// mustVectoriser is the vectoriser of terms that are keys of a map, so that none
// is there twice.
func mustVectoriser(terms []string, df map[string]int, mean float64, weight func(df float64) float64) *Vectoriser {
	idf := make([]float32, len(terms))
	for i, term := range terms {
		idf[i] = float32(weight(float64(df[term])))
	}
	v, err := NewVectoriser(terms, idf, mean)
	if err != nil {
		panic(err)
	}
	return v
}

// NewVectoriser is the vectoriser of terms, their idf and the mean length, as
// Terms, IDF and Mean gave them.
func NewVectoriser(terms []string, idf []float32, mean float64) (*Vectoriser, error) {
	if !(mean >= 0) || math.IsInf(mean, 1) {
		return nil, fmt.Errorf("documents have %v terms on average: expected 0 or more", mean)
	}
	if len(terms) != len(idf) {
		return nil, fmt.Errorf("%d terms have %d weights", len(terms), len(idf))
	}
	v := &Vectoriser{terms: terms, idf: idf, mean: mean, id: make(map[string]int32, len(terms))}
	for i, term := range terms {
		if _, ok := v.id[term]; ok {
			return nil, fmt.Errorf("term %q is there twice", term)
		}
		v.id[term] = int32(i) // #nosec G115 -- far fewer terms than that
	}
	return v, nil
}

// Terms are the terms by id; shared, read-only.
func (v *Vectoriser) Terms() []string { return v.terms }

// IDF are the terms' weights by id; shared, read-only.
func (v *Vectoriser) IDF() []float32 { return v.idf }

// Mean is the known terms of a document on average where BM25 weighs them, and 0
// where TF-IDF does.
func (v *Vectoriser) Mean() float64 { return v.mean }

// frequency is what a term says that is there so many times among length known
// ones.
func (v *Vectoriser) frequency(times, length int) float64 {
	tf := float64(times)
	if v.mean == 0 {
		return 1 + math.Log(tf)
	}
	return tf * (k1 + 1) / (tf + k1*(1-b+b*float64(length)/v.mean))
}

// Vector is the document's vector: ids ascending, and their values. Both are
// empty when no term is known.
func (v *Vectoriser) Vector(doc []string) (ids []int32, values []float32) {
	for _, term := range doc {
		if id, ok := v.id[term]; ok {
			ids = append(ids, id)
		}
	}
	sort.Slice(ids, func(a, b int) bool { return ids[a] < ids[b] })
	out, norm, length := 0, 0., len(ids)
	for i := 0; i < len(ids); {
		j := i
		for j < len(ids) && ids[j] == ids[i] {
			j++
		}
		w := v.frequency(j-i, length) * float64(v.idf[ids[i]])
		ids[out] = ids[i]
		values = append(values, float32(w))
		norm += w * w
		out++
		i = j
	}
	ids = ids[:out]
	for i := range values {
		values[i] /= float32(math.Sqrt(norm))
	}
	return ids, values
}
