package milvustest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// rowField is the number of a row.
const rowField = "row"

// passing is which rows a filter lets through. Filters that are known here are conditions
// joined by "and": row in [1,2,3], row < 4, row >= 4 and field in ["a","b"].
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
		if words, ok := c.words[field]; ok {
			values, err := texts(value)
			if err != nil || operator != "in" {
				return nil, fmt.Errorf("filter %q: expected %s in [...]", condition, field)
			}
			for i := range pass {
				pass[i] = pass[i] && slices.Contains(values, words[i])
			}
			continue
		}
		if field != rowField {
			return nil, fmt.Errorf("filter %q: no field %s", condition, field)
		}
		holds, err := ofRows(operator, value)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", condition, err)
		}
		for i, row := range c.rows {
			pass[i] = pass[i] && holds(row)
		}
	}
	return pass, nil
}

// ofRows is a condition of a row's number.
func ofRows(operator, value string) (func(row int64) bool, error) {
	rows := map[int64]bool{}
	var last int64
	for _, f := range strings.Split(strings.Trim(value, "[]"), ",") {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return nil, err
		}
		rows[n], last = true, n
	}
	switch operator {
	case "in":
		return func(row int64) bool { return rows[row] }, nil
	case "<":
		return func(row int64) bool { return row < last }, nil
	case ">=":
		return func(row int64) bool { return row >= last }, nil
	}
	return nil, fmt.Errorf("operator %s", operator)
}

// texts reads ["a","b"].
func texts(list string) (values []string, err error) {
	rest := strings.TrimSuffix(strings.TrimPrefix(list, "["), "]")
	for rest != "" {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil, err
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		values, rest = append(values, value), strings.TrimPrefix(rest[len(quoted):], ",")
	}
	return values, nil
}
