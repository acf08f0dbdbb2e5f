package multitask

import "math"

// enough is how many candidates of each label a calibration needs.
const enough = 20

// platt fits σ(slope·x + shift) to labels by Newton's method on the
// cross-entropy, with a weak pull towards the identity. False where either
// label is too rare, or the fit would turn the order around.
func platt(x, labels []float64) (Line, bool) {
	ones := 0.
	for _, y := range labels {
		ones += y
	}
	if ones < enough || float64(len(labels))-ones < enough {
		return Line{}, false
	}
	const pull = 1.
	a, b := 1., 0.
	for range 50 {
		ga, gb := pull*(a-1), pull*b
		haa, hab, hbb := pull, 0., pull
		for i, v := range x {
			p := sigmoid(a*v + b)
			w := p * (1 - p)
			ga += (p - labels[i]) * v
			gb += p - labels[i]
			haa += w * v * v
			hab += w * v
			hbb += w
		}
		det := haa*hbb - hab*hab
		da, db := (hbb*ga-hab*gb)/det, (haa*gb-hab*ga)/det
		// A damped step: far from the optimum Newton overshoots.
		if size := math.Hypot(da, db); size > 1 {
			da, db = da/size, db/size
		}
		a, b = a-da, b-db
		if math.Abs(da)+math.Abs(db) < 1e-9 {
			break
		}
	}
	if !(a > 0) || math.IsInf(a, 0) || math.IsNaN(b) {
		return Line{}, false
	}
	return Line{Slope: a, Shift: b}, true
}
