package neural

import (
	"math/rand/v2"

	"github.com/attune-rec/attune/models/nn"
)

// IDs is the network as published, with a row a user and a row an item. It
// belongs to one goroutine. The product's kinds use Pool instead; this one is
// what libraries are compared on.
type IDs[F nn.Float] struct {
	Users, Items *nn.Param[F]
	Tower        *Tower[F]

	user, item nn.Embedding[F]
}

// NewIDs draws all weights. The tables are lazy: a step moves the rows it
// touched.
func NewIDs[F nn.Float](users, items int, s Shape, rng *rand.Rand) *IDs[F] {
	n := &IDs[F]{
		Users: nn.NewParam[F]("users", users, s.Width()).Normal(rng, .01),
		Items: nn.NewParam[F]("items", items, s.Width()).Normal(rng, .01), Tower: NewTower[F](s, rng),
	}
	n.Users.Lazy, n.Items.Lazy = true, true
	n.user.Table, n.item.Table = n.Users, n.Items
	return n
}

// Params are all parameters.
func (n *IDs[F]) Params() nn.Params[F] {
	return append(nn.Params[F]{n.Users, n.Items}, n.Tower.Params()...)
}

// Step adds to the gradients those of weight times the cross-entropy of the
// labels, and returns its sum.
func (n *IDs[F]) Step(users, items []int32, labels []F, weight F) float64 {
	logits := n.Tower.Forward(n.user.Forward(users, 1), n.item.Forward(items, 1))
	loss := nn.Logistic(logits, labels, nil, logits, weight)
	dUser, dItem := n.Tower.Backward(logits)
	n.user.Backward(dUser, 1)
	n.item.Backward(dItem, 1)
	return loss
}
