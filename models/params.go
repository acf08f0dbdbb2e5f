package models

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// DecodeParams reads raw over the defaults that p points to. Nothing, or null,
// leaves the defaults; an unknown field, a wrong type or text behind the object
// is ErrParams.
func DecodeParams(raw json.RawMessage, p any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return fmt.Errorf("%w: %w", ErrParams, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: more than one object", ErrParams)
	}
	return nil
}

// CheckRange is ErrParams unless low ≤ value ≤ high; NaN never is.
func CheckRange(param string, value, low, high float64) error {
	if !(value >= low && value <= high) {
		return fmt.Errorf("%w: %s is %v: expected %v to %v", ErrParams, param, value, low, high)
	}
	return nil
}
