package pace

import "slices"

const (
	run    = 512 // elements sorted at a stretch
	merged = 64  // elements merged between two steps
)

// SortFunc is slices.SortStableFunc at the pace of a job. It takes room for a copy.
func SortFunc[E any](j *Job, s []E, cmp func(a, b E) int) {
	for part := range slices.Chunk(s, run) {
		slices.SortStableFunc(part, cmp)
		j.Look()
	}
	if len(s) <= run {
		return
	}
	from, to := s, make([]E, len(s))
	for width := run; width < len(s); width *= 2 {
		for at := 0; at < len(s); at += 2 * width {
			middle, end := min(at+width, len(s)), min(at+2*width, len(s))
			merge(j, to[at:end], from[at:middle], from[middle:end], cmp)
		}
		from, to = to, from
	}
	if &from[0] != &s[0] {
		copy(s, from)
	}
}

// merge fills to with a and b, which are sorted, a's first where they are equal.
func merge[E any](j *Job, to, a, b []E, cmp func(a, b E) int) {
	for i := range to {
		if len(b) == 0 || len(a) > 0 && cmp(a[0], b[0]) <= 0 {
			to[i], a = a[0], a[1:]
		} else {
			to[i], b = b[0], b[1:]
		}
		if i%merged == 0 {
			j.Step()
		}
	}
}
