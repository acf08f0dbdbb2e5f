package neural

import (
	"math/rand/v2"

	"github.com/attune-rec/attune/models/attribute"
	"github.com/attune-rec/attune/models/nn"
)

// described is a table of items' vectors, to each of which the vectors of what
// the catalogue says of the item are added, one by the root of their number.
type described[F nn.Float] struct {
	*nn.Param[F]
	Attrs *nn.Param[F]     // a row an attribute; nil: an item is its own row
	said  *attribute.Table // nil likewise
}

// newDescribed draws all weights; without rng they are to be read. The tables
// are lazy.
func newDescribed[F nn.Float](name string, items, width int, said *attribute.Table, rng *rand.Rand) described[F] {
	const spread = .05
	d := described[F]{Param: nn.NewParam[F](name, items, width).Normal(rng, spread), said: said}
	d.Lazy = true
	if said != nil {
		d.Attrs = nn.NewParam[F](name+".attributes", said.Names(), width).Normal(rng, spread)
		d.Attrs.Lazy = true
	}
	return d
}

// row is the item's own row.
func (d *described[F]) row(item int32) []F { return d.W[int(item)*d.Cols:][:d.Cols] }

// add adds alpha times the item's vector to dst.
func (d *described[F]) add(alpha F, item int32, dst []F) {
	nn.Axpy(alpha, d.row(item), dst)
	if d.said == nil {
		return
	}
	ids := d.said.Row(item)
	for _, id := range ids {
		nn.Axpy(alpha*F(attribute.Share(len(ids))), d.Attrs.W[int(id)*d.Cols:][:d.Cols], dst)
	}
}

// learn adds alpha times grad, that of the item's vector, to the gradients of
// what it is made of.
func (d *described[F]) learn(alpha F, grad []F, item int32) {
	d.Touch(item)
	nn.Axpy(alpha, grad, d.G[int(item)*d.Cols:][:d.Cols])
	if d.said == nil {
		return
	}
	ids := d.said.Row(item)
	for _, id := range ids {
		d.Attrs.Touch(id)
		nn.Axpy(alpha*F(attribute.Share(len(ids))), grad, d.Attrs.G[int(id)*d.Cols:][:d.Cols])
	}
}

// whole is the vectors of all items, each in a row.
func (d *described[F]) whole() []F {
	all := make([]F, len(d.W))
	for i := range d.Rows {
		d.add(1, int32(i), all[i*d.Cols:][:d.Cols]) // #nosec G115 -- rows are int32 by contract
	}
	return all
}
