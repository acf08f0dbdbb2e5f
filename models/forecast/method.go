package forecast

import (
	"fmt"
	"math"
)

// method is a named way to forecast.
type method struct {
	name string
	run  point
}

// methods lists the candidates for series of the given seasons. The first always
// answers: it stands in where another is not applicable.
func methods(seasons []int, intermittent bool) []method {
	list := []method{
		{"naive", adjusted(naive, seasons, 1)},
		{"theta", adjusted(theta, seasons, 1)},
		{"dynamic theta", adjusted(dynamicTheta, seasons, 1)},
		{"ses", adjusted(ses, seasons, 1)},
		{"holt", adjusted(holt(false), seasons, 1)},
		{"damped", adjusted(holt(true), seasons, 1)},
		{"drift", adjusted(drift, seasons, 1)},
	}
	if intermittent {
		list = append(list,
			method{"croston", croston(false)},
			method{"sba", croston(true)},
			method{"tsb", tsb})
	}
	if len(seasons) == 0 {
		return append(list, method{"autoregression", autoregression(1, 1, 2)})
	}
	m := seasons[0]
	if len(seasons) > 1 {
		return append(list, severalSeasons(m, seasons[len(seasons)-1])...)
	}
	list = append(list,
		method{"seasonal naive", seasonalNaive(m, 1)},
		method{"seasonal change", seasonalChange(m)},
		method{"theta, recent season", adjusted(theta, seasons, 0.7)})
	if m <= 24 {
		return append(list,
			method{"holt-winters", holtWinters(m, true)},
			method{"holt-winters, additive", holtWinters(m, false)},
			method{"autoregression", autoregression(1, 1, m, m+1)})
	}
	return append(list,
		method{"autoregression", autoregression(1, 1, 2, 3, 4)},
		method{"autoregression, level", autoregression(0, 1, 2, 3, 4, m)},
		method{"autoregression, season", autoregression(1, 1, 2, 3, m-1, m, m+1)},
		method{"autoregression, since last season", autoregression(m, 1, 2, 3, 4)})
}

// severalSeasons lists what knows two seasons at once.
func severalSeasons(short, long int) []method {
	return []method{
		{fmt.Sprintf("seasonal naive %d", short), seasonalNaive(short, 1)},
		{fmt.Sprintf("seasonal naive %d", long), seasonalNaive(long, 1)},
		{fmt.Sprintf("mean of 3 seasons of %d", long), seasonalNaive(long, 3)},
		{fmt.Sprintf("seasonal naive %d, shifted", long), shifted(long, short, 1)},
		{fmt.Sprintf("mean of 3 seasons of %d", short), seasonalNaive(short, 3)},
		{"double season", doubleSeason(short, long)},
		{"autoregression, both seasons", autoregression(0, 1, 2, 3, short-1, short, short+1, 2*short, long-1, long, long+1)},
		{"autoregression, since last long season", autoregression(long, 1, 2, 3, short, short+1)},
		{"autoregression, since last short season", autoregression(short, 1, 2, short, 2*short, long-short, long)},
	}
}

// expect runs a method and holds its answer to what the series allows: finite
// values, none below zero where none was, and the stand-in's where it has none.
func (m method) expect(y []float64, h int, standIn []float64) []float64 {
	out := m.run(y, h)
	for _, v := range out {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			out = nil
			break
		}
	}
	if out == nil {
		return standIn
	}
	for _, v := range y {
		if v < 0 {
			return out
		}
	}
	for i, v := range out {
		out[i] = max(0, v)
	}
	return out
}
