package footer

import (
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// described is what a footer says of two rows of a number and a list of texts.
func described() *format.FileMetaData {
	element := func(name string, children int32, how format.FieldRepetitionType) format.SchemaElement {
		return format.SchemaElement{Name: name, NumChildren: thrift.New(children), RepetitionType: thrift.New(how)}
	}
	column := func(kind format.Type, values int64, path ...string) format.ColumnChunk {
		return format.ColumnChunk{MetaData: format.ColumnMetaData{Type: kind, NumValues: values, PathInSchema: path}}
	}
	m := &format.FileMetaData{
		Schema: []format.SchemaElement{
			element("root", 2, format.Required),
			element("n", 0, format.Required),
			element("tags", 1, format.Optional), element("list", 1, format.Repeated), element("element", 0, format.Required),
		},
		RowGroups: []format.RowGroup{{NumRows: 2, Columns: []format.ColumnChunk{
			column(format.Int64, 2, "n"), column(format.ByteArray, 5, "tags", "list", "element"),
		}}},
	}
	m.Schema[1].Type, m.Schema[4].Type = thrift.New(format.Int64), thrift.New(format.ByteArray)
	return m
}

func TestColumnsAreThoseOfTheSchema(t *testing.T) {
	if err := columns(described()); err != nil {
		t.Fatal(err)
	}
	for want, damage := range map[string]func(*format.FileMetaData){
		"has 1 columns, the schema 2":                func(m *format.FileMetaData) { m.RowGroups[0].Columns = m.RowGroups[0].Columns[:1] },
		"[n] of BOOLEAN, in the schema [n] of INT64": func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Type = format.Boolean },
		"is [] of INT64":                             func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.PathInSchema = nil },
		"[n] of row group 0 has 1 values of 2 rows":  func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.NumValues = 1 },
		"[n] of row group 0 has 3 values of 2 rows":  func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.NumValues = 3 },
		"element] of row group 0 has 1 values":       func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].MetaData.NumValues = 1 },
		"lacks what is in":                           func(m *format.FileMetaData) { m.Schema = m.Schema[:4] },
		"3 elements beside its root":                 func(m *format.FileMetaData) { m.Schema[0].NumChildren = thrift.New(int32(1)) },
		"groups deep": func(m *format.FileMetaData) {
			m.Schema = nil
			for range maxDepth + 2 {
				m.Schema = append(m.Schema, format.SchemaElement{Name: "g", NumChildren: thrift.New(int32(1))})
			}
		},
	} {
		m := described()
		damage(m)
		if err := columns(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
