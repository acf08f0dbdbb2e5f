package footer

import (
	"errors"
	"strings"
	"testing"
)

type unreadable struct{}

var errRead = errors.New("read error")

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errRead }

func TestCheck(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"PAR1{}\x02\x00\x00\x00PAR1", "footer: "},
		{"PAR1\x00\x00\x00\x00PAR1", "footer: "},
		{"", "too few"},
		{"PAR1PAR1", "too few"},
		{"PAR1{}\x02\x00\x00\x00PARE", "does not end"},
		{"PAR1{}\x03\x00\x00\x00PAR1", "claims a footer of 3 bytes"},
		{"PAR1{}\xff\xff\xff\xffPAR1", "claims a footer of 4294967295 bytes"},
	} {
		err := Check(strings.NewReader(c.file), int64(len(c.file)))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.file, err, c.want)
		}
	}
	if err := Check(unreadable{}, 100); !errors.Is(err, errRead) {
		t.Errorf("got %v, want %v", err, errRead)
	}
}

// framed is a file whose footer is the given bytes.
func framed(footer string) string {
	n := len(footer)
	return "PAR1" + footer + string([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}) + "PAR1"
}

// What a footer claims of itself is not believed: a few bytes that say that they
// are a hundred million columns are refused before room is made for these.
func TestFooterThatClaims(t *testing.T) {
	const (
		schema  = "\x29" // field 2, a list
		name    = "\x68" // field 6, a text
		structs = "\xfc" // of more than 14 structs, so many:
	)
	for _, c := range []struct{ footer, want string }{
		{schema + structs + "\xff\xff\xff\x7f", "claims a list of 268435455 and has 0 bytes left"},
		{schema + structs + "\x10" + "\x00", "claims a list of 16 and has 1 bytes left"},
		{schema + structs + "\x81\x80\x20" + strings.Repeat("\x00", MaxParts+1), "describes more than"},
		{name + "\xff\xff\xff\xff\x07", "claims a text of 2147483647 and has 0 bytes left"},
		{"\x1b\xff\xff\xff\xff\x07\x88", "claims a map of 2147483647"}, // field 1, which is none
		{"\x1a\xfc\xff\xff\xff\xff\x07", "claims a set of 2147483647"},
	} {
		in := framed(c.footer)
		if err := Check(strings.NewReader(in), int64(len(in))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: got %v, want %q", c.footer, err, c.want)
		}
	}
}
