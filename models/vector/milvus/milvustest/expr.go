package milvustest

import (
	"fmt"
	"strconv"
	"strings"
)

// rowField is the number of a row.
const rowField = "row"

// passing is which rows a filter lets through. Filters that are known here are conditions
// of a field's number joined by "and": f in [1,2,3], f < 4 and f >= 4.
func (c *collection) passing(expr string) ([]bool, error) {
	pass := make([]bool, len(c.rows))
	for i := range pass {
		pass[i] = true
	}
	if expr == "" {
		return pass, nil
	}
	for _, condition := range strings.Split(expr, " and ") {
		condition = strings.Trim(condition, "()")
		field, rest, _ := strings.Cut(condition, " ")
		operator, value, ok := strings.Cut(rest, " ")
		if !ok {
			return nil, fmt.Errorf("filter %q: expected field, operator and value", condition)
		}
		numbers, ok := c.fields[field]
		if !ok {
			return nil, fmt.Errorf("filter %q: no field %s", condition, field)
		}
		holds, err := of(operator, value)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", condition, err)
		}
		for i, n := range numbers {
			pass[i] = pass[i] && holds(n)
		}
	}
	return pass, nil
}

// of is a condition of a number.
func of(operator, value string) (func(n int64) bool, error) {
	in := map[int64]bool{}
	var last int64
	for _, f := range strings.Split(strings.Trim(value, "[]"), ",") {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return nil, err
		}
		in[n], last = true, n
	}
	switch operator {
	case "in":
		return func(n int64) bool { return in[n] }, nil
	case "<":
		return func(n int64) bool { return n < last }, nil
	case ">=":
		return func(n int64) bool { return n >= last }, nil
	}
	return nil, fmt.Errorf("operator %s", operator)
}
