// Package text makes numbers of words: a tokeniser for languages with and
// without blanks between words, and a vectoriser. It imports features only.
package text

import (
	"strings"
	"unicode"

	"github.com/kljensen/snowball"
	"golang.org/x/text/unicode/norm"
)

// stemmers are the languages whose words are cut to their stems, by BCP 47.
var stemmers = map[string]string{
	"en": "english", "fr": "french", "es": "spanish", "ru": "russian", "sv": "swedish", "no": "norwegian", "nb": "norwegian",
	"hu": "hungarian",
}

// Tokens appends the tokens of s to dst: compatibility-normalised, lower-case
// runs of letters and digits, stemmed where language (BCP 47; "" is unknown)
// has a stemmer. Scripts without blanks (Han, kana, Thai …) become
// overlapping pairs of characters.
func Tokens(s, language string, dst []string) []string {
	base, _, _ := strings.Cut(language, "-")
	stem := stemmers[strings.ToLower(base)]
	var word, dense []rune
	flush := func() {
		if len(word) > 0 {
			w := string(word)
			if stem != "" {
				if cut, err := snowball.Stem(w, stem, true); err == nil && cut != "" {
					w = cut
				}
			}
			dst = append(dst, w)
			word = word[:0]
		}
		switch {
		case len(dense) == 1:
			dst = append(dst, string(dense))
		case len(dense) > 1:
			for i := range len(dense) - 1 {
				dst = append(dst, string(dense[i:i+2]))
			}
		}
		dense = dense[:0]
	}
	for _, r := range norm.NFKC.String(s) {
		switch {
		case r == '\'' || r == '’':
			// "women's" is one word.
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			if len(word) > 0 {
				flush()
			}
			dense = append(dense, r)
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if len(dense) > 0 {
				flush()
			}
			word = append(word, unicode.ToLower(r))
		default:
			flush()
		}
	}
	flush()
	return dst
}
