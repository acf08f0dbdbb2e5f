package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func near(t testing.TB, what string, got, want []float64, within float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= within) {
			t.Errorf("%s: got %v, want %v within %v", what, got, want, within)
			return
		}
	}
}

func TestSimpleMethods(t *testing.T) {
	y := []float64{1, 2, 3, 4, 5, 6, 7}
	near(t, "naive", naive(y, 2), []float64{7, 7}, 0)
	near(t, "drift", drift(y, 2), []float64{8, 9}, 1e-12)
	near(t, "seasonal naive", seasonalNaive(3, 1)(y, 4), []float64{5, 6, 7, 5}, 0)
	near(t, "mean of 2 seasons", seasonalNaive(3, 2)(y, 3), []float64{3.5, 4.5, 5.5}, 1e-12)
	near(t, "seasonal change", seasonalChange(3)(y, 3), []float64{8, 9, 10}, 1e-12)
	if got := seasonalNaive(5, 2)(y, 1); got != nil {
		t.Errorf("two seasons of 5 in 7 values: got %v, want nil", got)
	}
}

// On an exact line or pattern every method that knows it goes on exactly.
func TestMethodsContinueWhatTheyKnow(t *testing.T) {
	rising := make([]float64, 40)
	seasonal := make([]float64, 48)
	for i := range rising {
		rising[i] = 10 + 2*float64(i)
	}
	for i := range seasonal {
		seasonal[i] = []float64{80, 100, 140, 80}[i%4]
	}
	line := []float64{90, 92, 94}
	near(t, "holt", holt(false)(rising, 3), line, 0.05)
	near(t, "dynamic theta", dynamicTheta(rising, 3), line, 0.6)
	near(t, "autoregression", autoregression(1, 1)(rising, 3), line, 0.05)
	next := []float64{80, 100, 140, 80, 80}
	near(t, "theta", adjusted(theta, []int{4}, 1)(seasonal, 5), next, 1)
	near(t, "holt-winters", holtWinters(4, true)(seasonal, 5), next, 0.5)
	near(t, "holt-winters, additive", holtWinters(4, false)(seasonal, 5), next, 0.5)
}

// Theta is exponential smoothing with half the slope of the line as drift
// (Hyndman and Billah, "Unmasking the Theta method", 2003): steps are constant.
func TestThetaDrifts(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	y := make([]float64, 30)
	for i := range y {
		y[i] = 50 + 1.5*float64(i) + random.NormFloat64()
	}
	_, slope := line(y)
	f := theta(y, 3)
	near(t, "steps", []float64{f[1] - f[0], f[2] - f[1]}, []float64{slope / 2, slope / 2}, 1e-9)
}

func TestSeveralSeasonsAtOnce(t *testing.T) {
	const short, long = 4, 12
	value := func(i int) float64 {
		return 100 + 10*float64(i%short) + 6*float64(i%long/short)
	}
	y := make([]float64, 10*long)
	for i := range y {
		y[i] = value(i)
	}
	want := make([]float64, long)
	for i := range want {
		want[i] = value(len(y) + i)
	}
	near(t, "double season", doubleSeason(short, long)(y, long), want, 1)
	near(t, "seasonal naive", seasonalNaive(long, 1)(y, long), want, 0)
	near(t, "shifted", shifted(long, short, 1)(y, long), want, 1e-9)
}

// A demand of 6 at every third step: 2 a step, which SBA takes down by half of
// its smoothing weight.
func TestIntermittentDemand(t *testing.T) {
	y := make([]float64, 60)
	for i := 2; i < len(y); i += 3 {
		y[i] = 6
	}
	near(t, "croston", croston(false)(y, 2), []float64{2, 2}, 1e-9)
	if got := croston(true)(y, 1)[0]; got >= 2 || got < 1.5 {
		t.Errorf("sba: got %v, want a little below 2", got)
	}
	if got := tsb(y, 1)[0]; got < 1 || got > 3 {
		t.Errorf("tsb: got %v, want about 2", got)
	}
	ended := slices.Concat(y, make([]float64, 60))
	if got, before := tsb(ended, 1)[0], croston(false)(ended, 1)[0]; got > before/2 {
		t.Errorf("after demand ended: tsb expects %v, want far below croston's %v", got, before)
	}
	if !isIntermittent(y) || isIntermittent([]float64{0, 0, 0}) || isIntermittent([]float64{0, -1, 0}) {
		t.Error("series are wrongly told intermittent or not")
	}
}

// Whatever the values, every method answers with h finite values, or not at all.
func TestMethodsAnswerAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 60).Draw(t, "values")
		h := rapid.IntRange(1, 6).Draw(t, "h")
		seasons := rapid.SampledFrom([][]int{nil, {4}, {3, 6}, {30}}).Draw(t, "seasons")
		for _, m := range methods(seasons, true) {
			got := m.expect(y, h, naive(y, h))
			if len(got) != h {
				t.Fatalf("%s: got %d values, want %d", m.name, len(got), h)
			}
			for _, v := range got {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%s: got %v", m.name, got)
				}
			}
		}
	})
}

func TestCentredIsTheMeanOfAWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.IntRange(2, 9).Draw(t, "m")
		y := rapid.SliceOfN(rapid.Float64Range(0, 100), 2*m, 40).Draw(t, "values")
		got := centred(y, m)
		for i := m / 2; i < len(y)-m/2; i++ {
			want := 0.0
			for d := -(m / 2); d <= m/2; d++ {
				weight := 1.0
				if m%2 == 0 && (d == -m/2 || d == m/2) {
					weight = 0.5
				}
				want += weight * y[i+d] / float64(m)
			}
			if math.Abs(got[i]-want) > 1e-9 {
				t.Fatalf("at %d: got %v, want %v", i, got[i], want)
			}
		}
	})
}

func TestSolve(t *testing.T) {
	near(t, "solve", solve([][]float64{{4, 1, 9}, {1, 3, 5}}), []float64{2, 1}, 1e-12)
	if got := solve([][]float64{{0, 0, 1}, {0, 0, 1}}); got != nil {
		t.Errorf("a singular system: got %v, want nil", got)
	}
}

func TestQuantileCoversWhatIsAsked(t *testing.T) {
	var values []weighed
	for _, v := range []float64{5, 1, 4, 2, 3, 9, 8, 7, 6} {
		values = append(values, weighed{v, 1})
	}
	if got := quantile(values, 0.8); got != 8 {
		t.Errorf("80 %% of 9 values: got %v, want 8", got)
	}
	if got := quantile(values, 0.99); got != 9 {
		t.Errorf("99 %% of 9 values: got %v, want the largest, 9", got)
	}
	if got := quantile(values, 0.75); math.Abs(got-7.5) > 1e-12 {
		t.Errorf("75 %% of 9 values: got %v, want 7.5, between two", got)
	}
	values[5].weight = 3 // the 9: with the error to come there are 12
	if got := quantile(values, 0.7); math.Abs(got-(8+.4/3)) > 1e-12 {
		t.Errorf("70 %% where the largest counts three times: got %v, want 0.4 of its 3 above 8", got)
	}
}
