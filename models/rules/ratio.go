package rules

import (
	"fmt"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// Ratio is an exact fraction in 0..1, such as a minimum support or confidence.
// The zero value is 0. Comparisons against counts are made in integers.
type Ratio struct{ num, den uint64 }

// ParseRatio reads a decimal such as ".001" or "5e-4", or a fraction such as
// "1/1000", and keeps exactly what is written.
func ParseRatio(text string) (Ratio, error) {
	if len(text) > 64 {
		return Ratio{}, fmt.Errorf("ratio of %d characters is too long", len(text))
	}
	if at := strings.IndexAny(text, "eEpP"); at >= 0 {
		if exp, err := strconv.Atoi(text[at+1:]); err != nil || exp < -18 || exp > 18 || text[at] == 'p' || text[at] == 'P' {
			return Ratio{}, fmt.Errorf("ratio %q is not a decimal such as 0.001 or a fraction such as 1/1000", text)
		}
	}
	rat, ok := new(big.Rat).SetString(text)
	if !ok {
		return Ratio{}, fmt.Errorf("ratio %q is not a decimal such as 0.001 or a fraction such as 1/1000", text)
	}
	if rat.Sign() < 0 || rat.Cmp(big.NewRat(1, 1)) > 0 {
		return Ratio{}, fmt.Errorf("ratio %q is outside 0..1", text)
	}
	if !rat.Denom().IsUint64() {
		return Ratio{}, fmt.Errorf("ratio %q has more than 18 digits", text)
	}
	return Ratio{rat.Num().Uint64(), rat.Denom().Uint64()}, nil
}

// RatioOf converts f through its shortest decimal form, so that RatioOf(0.1) is
// exactly one tenth.
func RatioOf(f float64) (Ratio, error) {
	return ParseRatio(strconv.FormatFloat(f, 'g', -1, 64))
}

// UnmarshalText lets flags and configuration files hold a Ratio.
func (r *Ratio) UnmarshalText(text []byte) error {
	parsed, err := ParseRatio(string(text))
	if err == nil {
		*r = parsed
	}
	return err
}

// MarshalText writes the ratio as a decimal when it has a short one and as a
// fraction otherwise; UnmarshalText reads it back exactly.
func (r Ratio) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r Ratio) String() string {
	if r.den == 0 {
		return "0"
	}
	text := strconv.FormatFloat(r.Float(), 'g', -1, 64)
	if back, err := ParseRatio(text); err == nil && back == r {
		return text
	}
	return fmt.Sprintf("%d/%d", r.num, r.den)
}

// Float is the nearest float64.
func (r Ratio) Float() float64 {
	if r.den == 0 {
		return 0
	}
	return float64(r.num) / float64(r.den)
}

// IsZero reports whether r is 0.
func (r Ratio) IsZero() bool { return r.num == 0 }

// Count is the least count c with c/n at least r; for n = 0 it is 0.
func (r Ratio) Count(n int) int {
	if r.num == 0 || n <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(r.num, uint64(n))
	quo, rem := bits.Div64(hi, lo, r.den) // hi < den, since num <= den and n < 2^63
	if rem > 0 {
		quo++
	}
	return int(quo)
}

// Reached reports whether part/whole is at least r, exactly. It is false when
// whole is not positive.
func (r Ratio) Reached(part, whole int) bool {
	if whole <= 0 || part < 0 {
		return false
	}
	if r.num == 0 {
		return true
	}
	leftHi, leftLo := bits.Mul64(uint64(part), r.den)
	rightHi, rightLo := bits.Mul64(r.num, uint64(whole))
	return leftHi > rightHi || leftHi == rightHi && leftLo >= rightLo
}
