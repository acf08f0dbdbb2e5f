package footer

import (
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go/format"
)

// maxDepth is the most groups that a column may lie in.
const maxDepth = 64

// leaf is a column of a schema.
type leaf struct {
	path     []string
	kind     format.Type
	repeated bool // within a row
}

// columns reports a row group whose columns are not those of the schema, or do
// not have a value for each of its rows. A reader goes by their order alone: it
// would take the values of one for those of the next.
func columns(m *format.FileMetaData) error {
	leaves, err := leavesOf(m.Schema)
	if err != nil {
		return err
	}
	for g := range m.RowGroups {
		group := &m.RowGroups[g]
		if len(group.Columns) != len(leaves) {
			return fmt.Errorf("row group %d has %d columns, the schema %d", g, len(group.Columns), len(leaves))
		}
		for c := range group.Columns {
			is, want := &group.Columns[c].MetaData, &leaves[c]
			switch {
			case is.Type != want.kind || !slices.Equal(is.PathInSchema, want.path):
				return fmt.Errorf("column %d of row group %d is %v of %v, in the schema %v of %v", c, g, is.PathInSchema, is.Type, want.path, want.kind)
			case is.NumValues < group.NumRows || !want.repeated && is.NumValues > group.NumRows:
				return fmt.Errorf("column %v of row group %d has %d values of %d rows", want.path, g, is.NumValues, group.NumRows)
			}
		}
	}
	return nil
}

// leavesOf is the columns of a schema, which lists a node before its children.
func leavesOf(schema []format.SchemaElement) (leaves []leaf, err error) {
	type node struct {
		leaf
		left int32 // children to come
	}
	var above []node // the root first, then what the next element is in
	for i := range schema {
		e := &schema[i]
		var n node
		if len(above) > 0 {
			parent := &above[len(above)-1]
			parent.left--
			n.path = append(slices.Clone(parent.path), e.Name)
			n.repeated = parent.repeated || e.RepetitionType.V == format.Repeated
		} else if i > 0 {
			return nil, fmt.Errorf("the schema has %d elements beside its root", len(schema)-i)
		}
		if len(above) > maxDepth {
			return nil, fmt.Errorf("the schema is more than %d groups deep", maxDepth)
		}
		if n.left = e.NumChildren.V; n.left > 0 || i == 0 {
			above = append(above, n)
		} else {
			n.kind = e.Type.V
			leaves = append(leaves, n.leaf)
		}
		for len(above) > 0 && above[len(above)-1].left <= 0 {
			above = above[:len(above)-1]
		}
	}
	if len(above) > 0 {
		return nil, fmt.Errorf("the schema lacks what is in %q", above[len(above)-1].path)
	}
	return leaves, nil
}
