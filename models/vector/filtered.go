package vector

import "context"

const (
	// pickMost rows that pass a filter are looked at one by one.
	pickMost = 8192
	// pickRuns rows are looked at one by one in the time of a run.
	pickRuns = 2
	// walkRuns runs are looked at in the time in which a walk under a filter
	// advances its width by one.
	walkRuns = 16
	// walkShare: a walk is for filters that let through more than one row in so
	// many, and those much the same everywhere.
	walkShare, walkAlike = 3, .1
	// A filter is opposed to a query when the opposedBest best that pass are
	// opposedTimes further down than by chance.
	opposedBest, opposedTimes = 32, 1.5
)

// filtered leaves the best of the allowed rows in s.top.
func (h *HNSW) filtered(ctx context.Context, vec []float32, k, allowed int, length float32, err bounds, s *walk) error {
	s.candidates = s.candidates[:0]
	s.top.Reset(k)
	s.floor = minusInf
	width := 2 * h.widthFor(k) // what passes lies further apart
	if allowed <= max(pickMost, 2*width) {
		if err := h.pick(ctx, err, &s.scan); err != nil {
			return err
		}
		return h.settle(vec, k, length, &s.scan)
	}
	s.plan.begin(h.runs, &s.query, length, s.mask, allowed, k)
	most, walks := allowed/pickRuns, false
	if allowed > h.n/walkShare && s.plan.alike < walkAlike && width*walkRuns < most {
		most, walks = width*walkRuns, true
	}
	allow := h.trusting(length)
	enough, failed := h.sweep(ctx, err, allow, most, &s.scan)
	if failed != nil {
		return failed
	}
	if !enough && walks {
		h.scoreTop(s)
		if !h.narrowTop(s) {
			if err := h.walk(ctx, width, s); err != nil {
				return err
			}
			if len(s.beam.items) >= k {
				h.rank(vec, k, s)
				return nil
			}
		}
		s.candidates = s.candidates[:0] // what passes lies where no path leads
		s.top.Reset(k)
		s.plan.begin(h.runs, &s.query, length, s.mask, allowed, k)
		if enough, failed = h.sweep(ctx, err, allow, allowed/pickRuns, &s.scan); failed != nil {
			return failed
		}
	}
	if !enough {
		s.candidates = s.candidates[:0]
		s.top.Reset(k)
		if err := h.pick(ctx, err, &s.scan); err != nil {
			return err
		}
	}
	return h.settle(vec, k, length, &s.scan)
}

// narrowTop keeps the scores of the top layer's rows that pass. It reports
// whether the filter lets through what the query does not want, as far as the
// top layer tells: the best of that lie scattered, along a border rather than
// around a point, and no walk finds them. Were the filter one by chance, about
// as many rows of all would be as good as the opposedBest-th best that passes as
// its share makes likely.
func (h *HNSW) narrowTop(s *walk) (opposed bool) {
	s.packed, s.near = append(s.packed[:0], s.scores...), s.near[:0]
	passing := 0
	for i, row := range h.top {
		if s.passes(h.row(row)) {
			s.scores[passing] = s.scores[i]
			s.near = append(s.near, row)
			passing++
		}
	}
	s.scores = s.scores[:passing]
	if passing < 4*opposedBest {
		return true
	}
	s.top.Reset(opposedBest)
	s.top.PushBlock(0, s.scores)
	bar, asGood := s.top.Threshold(), 0
	for _, score := range s.packed {
		if score >= bar {
			asGood++
		}
	}
	return float64(asGood*passing) > opposedTimes*opposedBest*float64(len(h.top))
}

// through collects the rows next to row that pass, and where those are few, the
// ones behind its neighbours that do not.
func (h *HNSW) through(row int32, s *walk) {
	s.near, s.far = s.near[:0], s.far[:0]
	met := 0
	for _, to := range h.list(row) {
		if to == noLink {
			break
		}
		if !s.passes(h.row(to)) {
			s.far = append(s.far, to)
			continue
		}
		met++
		if s.seen.add(to) {
			s.near = append(s.near, to)
		}
	}
	for _, via := range s.far {
		if met >= h.degree/4 {
			return
		}
		if !s.seen.add(via) {
			continue
		}
		for _, to := range h.list(via) {
			if to == noLink {
				break
			}
			if !s.passes(h.row(to)) {
				continue
			}
			met++
			if s.seen.add(to) {
				s.near = append(s.near, to)
			}
		}
	}
}
