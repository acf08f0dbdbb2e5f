package multitask

import "github.com/attune-rec/attune/models/nn"

// backward takes the gradients of the logits in grads and adds to those of the
// parameters.
func (n *Network[F]) backward(visits []Visit, rows int) {
	d := n.Shape.Dim
	dMixed := make([]nn.Mat[F], len(n.mixed))
	for g := range Goals {
		dz := nn.MatOf(rows, 1, n.grads[g])
		dm := n.Towers[g].Backward(n.acts[g].Backward(n.Outs[g].Backward(dz)))
		if at := min(g, len(dMixed)-1); dMixed[at].Data == nil {
			dMixed[at] = dm
		} else {
			dMixed[at].Add(dm)
		}
	}
	dx := n.Bottom.Backward(dMixed)
	x := nn.MatOf(rows, n.Shape.inputs(), n.x)
	for i := range rows {
		products, dProducts := x.Row(i)[(Goals+1)*d:], dx.Row(i)[(Goals+1)*d:]
		for g := range Goals {
			nn.Axpy(n.grads[g][i], products, n.Match[g].G)
			nn.Axpy(n.grads[g][i], n.Match[g].W, dProducts)
		}
	}
	user, scales := nn.MatOf(rows, Goals*d, n.user), n.scales
	dUser := grow(&n.dx, Goals*d)
	dSum := grow(&n.dSum, Goals*d)
	at := 0
	for _, v := range visits {
		clear(dSum)
		for i, item := range v.Items {
			n.split(dx.Row(at), user.Row(at), item, dUser)
			own := int(v.Level[i]) - 1
			for g, met := range v.Met {
				part := dUser[g*d : (g+1)*d]
				nn.Scale(scales[at*Goals+g], part)
				nn.Axpy(1, part, dSum[g*d:(g+1)*d])
				if g == own && v.Own[i] >= 0 {
					row := met[v.Own[i]]
					n.Met.Touch(row)
					nn.Axpy(-1, part, n.Met.G[int(row)*d:][:d])
				}
			}
			n.Bias.Touch(item)
			for g := range Goals {
				n.Bias.G[int(item)*Goals+g] += n.grads[g][at]
			}
			at++
		}
		for g, met := range v.Met {
			for _, row := range met {
				n.Met.Touch(row)
				nn.Axpy(1, dSum[g*d:(g+1)*d], n.Met.G[int(row)*d:][:d])
			}
		}
	}
}

// split undoes join: it fills dUser and adds to the item's gradient.
func (n *Network[F]) split(dx, user []F, item int32, dUser []F) {
	d := n.Shape.Dim
	vec, g := n.item(item), n.Items.G[int(item)*d:][:d]
	n.Items.Touch(item)
	copy(dUser, dx)
	nn.Axpy(1, dx[len(user):len(user)+d], g)
	for lo := 0; lo < len(user); lo += d {
		cross := dx[len(user)+d+lo:][:d]
		for j, c := range cross {
			dUser[lo+j] += c * vec[j]
			g[j] += c * user[lo+j]
		}
	}
}
