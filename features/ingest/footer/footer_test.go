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
		{"PAR1{}\x02\x00\x00\x00PAR1", ""},
		{"PAR1\x00\x00\x00\x00PAR1", ""},
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
