package job

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A list is imported with what it did told, a second time without effect; a file
// with mistakes is told by line, with what would mend them, and nothing stored.
func TestImportAudience(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "list.csv")
	if err := os.WriteFile(file, []byte("id,mail\nann,\nbob,\n,ann@example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	env := NewEnv(context.Background(), &out, &bytes.Buffer{}, false, slog.LevelError)
	c := ImportAudience{recordFlags: recordFlags{File: file, Data: filepath.Join(dir, "data"), Shop: "default", Encoding: "utf-8"}, Columns: "user=id,email_sha256=mail", Name: "vip"}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 rows, 2 stored, 0 the same as stored, 1 refused", "3 rows, 0 stored, 2 the same as stored, 1 refused"} {
		out.Reset()
		if err := c.Run(env); err != nil || !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "line 4: column mail: is an address") {
			t.Errorf("got %q, %v, want %q", out.String(), err, want)
		}
	}
	out.Reset()
	v := Validate{Files: []string{file}, Import: "user=id,email_sha256=mail", As: "audience", Shop: "default", Show: 3}
	if err := v.Run(env); !errors.Is(err, ErrInvalid) || !strings.Contains(out.String(), file+":4: column mail: is an address") {
		t.Errorf("got %q, %v", out.String(), err)
	}
	for _, wrong := range []ImportAudience{
		{Columns: "audience=id", Name: "vip"}, {Columns: "user=id"}, {Columns: "user=id", Name: "a/b"}, {Columns: "user=id", Name: "vip", Expires: "soon"},
	} {
		wrong.Shop = "default"
		if err := wrong.Validate(); err == nil {
			t.Errorf("got no error for %+v", wrong)
		}
	}
}
