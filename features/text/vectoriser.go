package text

import (
	"fmt"
	"math"
	"sort"
)

// Vectoriser turns documents, lists of terms, into sparse vectors of length 1:
// (1 + ln tf) · idf with idf = ln((1+n)/(1+df)) + 1 (Salton & Buckley 1988,
// smoothed). It is immutable and safe for concurrent use.
type Vectoriser struct {
	terms []string
	idf   []float32
	id    map[string]int32
}

// Fit learns the terms that are in at least minDocs of docs and, of those, at
// most the maxTerms in most documents (0: all).
func Fit(docs [][]string, minDocs, maxTerms int) *Vectoriser {
	df := map[string]int{}
	seen := map[string]int{}
	for i, doc := range docs {
		for _, term := range doc {
			if seen[term] != i+1 {
				seen[term] = i + 1
				df[term]++
			}
		}
	}
	terms := make([]string, 0, len(df))
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
	idf := make([]float32, len(terms))
	for i, term := range terms {
		idf[i] = float32(math.Log(float64(1+len(docs))/float64(1+df[term])) + 1)
	}
	v, err := NewVectoriser(terms, idf)
	if err != nil {
		panic(err) // terms are keys of a map: none is there twice
	}
	return v
}

// NewVectoriser is the vectoriser of terms and their idf, as Terms and IDF
// gave them.
func NewVectoriser(terms []string, idf []float32) (*Vectoriser, error) {
	if len(terms) != len(idf) {
		return nil, fmt.Errorf("%d terms have %d weights", len(terms), len(idf))
	}
	v := &Vectoriser{terms: terms, idf: idf, id: make(map[string]int32, len(terms))}
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

// Vector is the document's vector: ids ascending, and their values. Both are
// empty when no term is known.
func (v *Vectoriser) Vector(doc []string) (ids []int32, values []float32) {
	for _, term := range doc {
		if id, ok := v.id[term]; ok {
			ids = append(ids, id)
		}
	}
	sort.Slice(ids, func(a, b int) bool { return ids[a] < ids[b] })
	out, norm := 0, 0.
	for i := 0; i < len(ids); {
		j := i
		for j < len(ids) && ids[j] == ids[i] {
			j++
		}
		w := (1 + math.Log(float64(j-i))) * float64(v.idf[ids[i]])
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
