package dataset

import (
	"errors"
	"strings"
	"testing"
)

func TestReadWords(t *testing.T) {
	items, err := readWords("words", strings.NewReader("2 7:1 9:2\n0\n1 4:1\n"), []string{"2", "0", "other", "9"})
	if err != nil {
		t.Fatal(err)
	}
	for row, want := range []string{"w4 ", "w7 w9 w9 ", "", ""} {
		if got := items[row].Description; got != want {
			t.Errorf("item %s: got %q, want %q", items[row].ID, got, want)
		}
	}
}

func TestReadWordsRefuses(t *testing.T) {
	for _, text := range []string{"x\n", "2 7:1\n", "1 7\n", "1 7:x\n", "1 7:0\n", "1 7:9999999\n", "1 :1\n", "-1\n"} {
		if _, err := readWords("words", strings.NewReader(text), []string{"0"}); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: got %v, want ErrFormat", text, err)
		}
	}
}

func FuzzReadWords(f *testing.F) {
	f.Add("2 7:1 9:2\n0\n")
	f.Fuzz(func(t *testing.T, text string) {
		items, err := readWords("words", strings.NewReader(text), []string{"0", "1"})
		if err == nil && len(items) != 2 {
			t.Fatalf("got %d items, want 2", len(items))
		}
	})
}
