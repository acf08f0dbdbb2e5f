package dataset

import (
	"bytes"
	"errors"
	"io"

	"github.com/attune-rec/attune/features"
)

// Negatives are sampled candidates for users: a positive item and the items it
// is to be told from, in file order.
type Negatives struct {
	User     []int32 // of each line
	Positive []features.Row
	Ptr      []int64 // len(User)+1; line i owns Rows[Ptr[i]:Ptr[i+1]]
	Rows     []features.Row
}

// Of is the sampled items of line i; the positive may be among them.
func (n *Negatives) Of(i int) []features.Row { return n.Rows[n.Ptr[i]:n.Ptr[i+1]] }

// Len is the number of lines.
func (n *Negatives) Len() int { return len(n.User) }

const negativeWant = "(user,item) and then the sampled items, by tab or blank"

// readNegatives reads "(user,item) n1 n2 ..." a line.
func (l *Loader) readNegatives(name string, r io.Reader) (*Negatives, error) {
	n := &Negatives{Ptr: []int64{0}}
	in := newLines(name, r)
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return nil, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		end := bytes.IndexByte(line, ')')
		if line[0] != '(' || end < 0 {
			return nil, in.errorf(negativeWant, "%q", clip(line))
		}
		user, item, ok := bytes.Cut(line[1:end], []byte(","))
		user, item = bytes.TrimSpace(user), bytes.TrimSpace(item)
		if !ok || len(user) == 0 || len(item) == 0 {
			return nil, in.errorf(negativeWant, "%q", clip(line[:end+1]))
		}
		n.User = append(n.User, l.users.add(view(user)))
		n.Positive = append(n.Positive, features.Row(l.items.add(view(item))))
		rest := line[end+1:]
		for {
			var w []byte
			if w, rest = word(rest); len(w) == 0 {
				break
			}
			n.Rows = append(n.Rows, features.Row(l.items.add(view(w))))
		}
		if n.Ptr[len(n.Ptr)-1] == int64(len(n.Rows)) {
			return nil, in.errorf("at least one sampled item after (user,item)", "none")
		}
		n.Ptr = append(n.Ptr, int64(len(n.Rows)))
	}
}
