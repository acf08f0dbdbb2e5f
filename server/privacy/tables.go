package privacy

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// tablesOf is an export as CSV: one table for each of its lists, and one of
// names and values for what there is once. What is nested stands as JSON.
func tablesOf(x *export) ([]*attunev1.ExportTable, error) {
	b, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	var whole map[string]any
	if err := json.Unmarshal(b, &whole); err != nil {
		return nil, err
	}
	once := [][]string{{"field", "value"}}
	var out []*attunev1.ExportTable
	for _, name := range sorted(whole) {
		rows, ok := whole[name].([]any)
		switch inner, object := whole[name].(map[string]any); {
		case ok:
			t, err := tableOf(name, rows)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
		case object:
			for _, field := range sorted(inner) {
				once = append(once, []string{name + "." + field, cell(inner[field])})
			}
		case whole[name] != nil:
			once = append(once, []string{name, cell(whole[name])})
		}
	}
	t, err := write("person", once)
	return append([]*attunev1.ExportTable{t}, out...), err
}

func tableOf(name string, rows []any) (*attunev1.ExportTable, error) {
	columns := map[string]any{}
	for _, r := range rows {
		fields, ok := r.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("export: a row of %s has no fields", name)
		}
		for f := range fields {
			columns[f] = nil
		}
	}
	header := sorted(columns)
	all := [][]string{header}
	for _, r := range rows {
		fields, _ := r.(map[string]any)
		line := make([]string, len(header))
		for i, f := range header {
			line[i] = cell(fields[f])
		}
		all = append(all, line)
	}
	return write(name, all)
}

func write(name string, rows [][]string) (*attunev1.ExportTable, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	return &attunev1.ExportTable{Name: name, Csv: b.String()}, nil
}

// cell is a value in a table. One that a spreadsheet would take for a formula
// begins with an apostrophe.
func cell(v any) string {
	var text string
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		text = v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	}
	if text != "" && bytes.ContainsRune([]byte("=+-@\t\r"), rune(text[0])) {
		return "'" + text
	}
	return text
}

func sorted(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
