package linalg

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// eachISA runs f as a subtest on every instruction set of this machine.
func eachISA(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before := active
	defer func() { active = before }()
	for l := generic; l <= best(); l++ {
		active = l
		t.Run(levelNames[l], f)
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name string
		top  level
		want level
		warn string
	}{
		{"", avx512, avx512, ""},
		{"", generic, generic, ""},
		{"avx2", avx512, avx2, ""},
		{"generic", avx512, generic, ""},
		{"avx512", avx2, avx2, "not available"},
		{"avx2", generic, generic, "not available"},
		{"neon", avx2, avx2, "unknown instruction set"},
	} {
		var log bytes.Buffer
		got := choose(c.name, c.top, slog.New(slog.NewTextHandler(&log, nil)))
		if got != c.want {
			t.Errorf("%q with %s at best: got %s, want %s", c.name, levelNames[c.top], levelNames[got], levelNames[c.want])
		}
		if c.warn == "" && log.Len() > 0 || !strings.Contains(log.String(), c.warn) {
			t.Errorf("%q with %s at best: got log %q, want %q in it", c.name, levelNames[c.top], log.String(), c.warn)
		}
	}
}

func TestISAIsOneOfTheNames(t *testing.T) {
	if got := ISA(); got != levelNames[active] {
		t.Errorf("got %q, want %q", got, levelNames[active])
	}
}
