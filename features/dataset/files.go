package dataset

import (
	"context"
	"errors"
	"fmt"

	"github.com/attune-rec/attune/features"
)

// Files names the files of an evaluation.
type Files struct {
	Train, Validate, Test, Negatives string // paths; "" for none
	Format                           Format
	Columns                          Columns
}

// LoadSplit reads the files and parts them: by c where they are one file, as
// they are given where there is a test file. A validation file whose pairs are
// also in the training file is taken out of Train, which a remark tells.
func LoadSplit(ctx context.Context, f Files, c Cut) (*Split, error) {
	if f.Train == "" {
		return nil, errors.New("no training file: give one with --train")
	}
	l := &Loader{Format: f.Format, Columns: f.Columns}
	var rows [3]*Rows
	for i, path := range []string{f.Train, f.Validate, f.Test} {
		if path == "" {
			continue
		}
		var err error
		if rows[i], err = l.Load(path); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	var negatives *Negatives
	if f.Negatives != "" {
		var err error
		if negatives, err = l.LoadNegatives(f.Negatives); err != nil {
			return nil, err
		}
	}
	s := &Split{}
	if c.Method == Given {
		s.Train = l.Dataset(rows[0])
		switch {
		case rows[2] != nil:
			s.Test = l.Dataset(rows[2])
		case negatives != nil:
			s.Test = negatives.positives(s.Train)
		}
	} else {
		if rows[2] != nil {
			return nil, fmt.Errorf("split %s parts one file, and there is a test file as well: drop --test, or say --split given", c.Method)
		}
		var err error
		if s, err = Part(l.Dataset(rows[0]), c); err != nil {
			return nil, err
		}
	}
	s.Negatives = negatives
	if rows[1] != nil {
		s.Validate = l.Dataset(rows[1])
		if rest := s.Train.Without(s.Validate); len(rest.Log) < len(s.Train.Log) {
			s.Remarks = append(s.Remarks, fmt.Sprintf("%d training interactions are validation as well: they validate only", len(s.Train.Log)-len(rest.Log)))
			s.Train = rest
		}
	}
	if n := l.Skipped.NoUser + l.Skipped.NoItem; n > 0 {
		s.Remarks = append(s.Remarks, fmt.Sprintf("%d rows left out: %d without a user, %d without an item", n, l.Skipped.NoUser, l.Skipped.NoItem))
	}
	return s, nil
}

// positives is the dataset of each line's positive.
func (n *Negatives) positives(like *Dataset) *Dataset {
	t := &table{kindOfAll: features.Purchase}
	for i, u := range n.User {
		t.user = append(t.user, u)
		t.item = append(t.item, int32(n.Positive[i]))
	}
	return t.dataset(like.Users, like.Items, nil)
}
