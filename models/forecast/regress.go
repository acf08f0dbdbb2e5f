package forecast

import "math"

// autoregression explains what changed since base steps ago by what had changed
// at the given lags, by least squares with a small penalty, and goes on from its
// own expectations. A base of 0 stands for the mean in place of an earlier value.
// The penalty draws it towards repeating the value of base steps ago.
func autoregression(base int, lags ...int) point {
	longest := 0
	for _, lag := range lags {
		longest = max(longest, lag)
	}
	return func(y []float64, h int) []float64 {
		n := len(y)
		if n < base+longest+3*len(lags)+10 {
			return nil
		}
		level := mean(y)
		low, high := y[0], y[0]
		for _, v := range y {
			low, high = min(low, v), max(high, v)
		}
		before := func(values []float64, i int) float64 {
			if base == 0 {
				return level
			}
			return values[i-base]
		}
		change := make([]float64, n, n+h)
		for i := base; i < n; i++ {
			change[i] = y[i] - before(y, i)
		}
		weights := solveLags(change, base, longest, lags)
		if weights == nil {
			return nil
		}
		all := append(make([]float64, 0, n+h), y...)
		room := high - low
		for i := n; i < n+h; i++ {
			step := 0.0
			for j, lag := range lags {
				step += weights[j] * change[i-lag]
			}
			v := min(max(before(all, i)+step, low-room), high+room)
			change = append(change, v-before(all, i))
			all = append(all, v)
		}
		return all[n:]
	}
}

// solveLags returns the weights of the lags that explain change from base on, or
// nil where nothing changes.
func solveLags(change []float64, base, longest int, lags []int) []float64 {
	k := len(lags)
	normal := make([][]float64, k)
	for j := range normal {
		normal[j] = make([]float64, k+1)
	}
	for i := base + longest; i < len(change); i++ {
		for j, lag := range lags {
			x := change[i-lag]
			for l := j; l < k; l++ {
				normal[j][l] += x * change[i-lags[l]]
			}
			normal[j][k] += x * change[i]
		}
	}
	total := 0.0
	for j := range k {
		total += normal[j][j]
	}
	if total == 0 {
		return nil
	}
	for j := range k {
		normal[j][j] += 0.001 * total / float64(k)
		for l := range j {
			normal[j][l] = normal[l][j]
		}
	}
	return solve(normal)
}

// solve solves the symmetric positive system whose rows end in the right side,
// by elimination in place. It returns nil for a singular one.
func solve(rows [][]float64) []float64 {
	k := len(rows)
	for j := range k {
		if !(math.Abs(rows[j][j]) > 1e-300) {
			return nil
		}
		for i := j + 1; i < k; i++ {
			f := rows[i][j] / rows[j][j]
			for l := j; l <= k; l++ {
				rows[i][l] -= f * rows[j][l]
			}
		}
	}
	x := make([]float64, k)
	for j := k - 1; j >= 0; j-- {
		x[j] = rows[j][k]
		for l := j + 1; l < k; l++ {
			x[j] -= rows[j][l] * x[l]
		}
		x[j] /= rows[j][j]
	}
	return x
}
