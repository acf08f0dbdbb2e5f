package nn

// Dropout sets each number to 0 with probability Rate and divides the others
// by 1-Rate (Srivastava et al. 2014). Which ones depends on the seed given to
// Forward and nothing else, so that a resumed run draws the same.
type Dropout[F Float] struct {
	Rate float64
	mask buffer[F]
	used Mat[F]
}

// Forward drops in place. A Rate of 0 does nothing.
func (d *Dropout[F]) Forward(x Mat[F], seed uint64) Mat[F] {
	if d.Rate <= 0 {
		return x
	}
	d.used = d.mask.mat(x.Rows, x.Cols)
	keep := F(1 / (1 - d.Rate))
	pair := [2]F{keep, 0}
	bar := uint64(d.Rate * (1 << 16))
	m := d.used.Data
	for len(m) > 0 {
		bits := mix(&seed)
		for i := range min(4, len(m)) {
			// 1 when the 16 bits are below the bar: no branch to mispredict
			m[i] = pair[((bits&0xffff)-bar)>>63]
			bits >>= 16
		}
		m = m[min(4, len(m)):]
	}
	mulTo(x.Data[:len(d.used.Data)], x.Data[:len(d.used.Data)], d.used.Data)
	return x
}

// Backward drops the same of dy, in place.
func (d *Dropout[F]) Backward(dy Mat[F]) Mat[F] {
	if d.Rate > 0 {
		mulTo(dy.Data[:len(d.used.Data)], dy.Data[:len(d.used.Data)], d.used.Data)
	}
	return dy
}

// mix is a step of SplitMix64 (Steele, Lea, Flood 2014).
func mix(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Seed makes one seed of several numbers: of a run, its step, a replica, a
// layer.
func Seed(parts ...uint64) uint64 {
	state := uint64(0x5eed)
	for _, p := range parts {
		state ^= p
		mix(&state)
		state = mix(&state)
	}
	return state
}
