package expr

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of fields")

func TestDocumentListsTheFields(t *testing.T) {
	var table strings.Builder
	table.WriteString("| field | type | meaning |\n|---|---|---|\n")
	for _, f := range engine(t).Fields(Rule) {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", f.Name, f.Type, f.Doc)
	}
	file := filepath.Join("..", "..", "docs", "expressions.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- fields -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(text), begin)
	listed, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %q and %q", file, begin, end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if listed != table.String() {
		t.Errorf("%s lists other fields than there are: run with -update", file)
	}
}
