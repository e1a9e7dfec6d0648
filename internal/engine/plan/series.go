package plan

import "sort"

// series is a list of whole numbers, kept as runs in which each is as much more
// than the one before. Places of rules, and the lines on which they were written,
// are mostly a few such runs.
type series struct {
	runs []progression
	n    int
}

// progression is a run of numbers, the first of which stands at from.
type progression struct {
	from        int
	start, step int64
}

func (s *series) len() int { return s.n }

// add appends a number.
func (s *series) add(v int64) {
	if len(s.runs) > 0 {
		r := &s.runs[len(s.runs)-1]
		if s.n == r.from+1 {
			r.step = v - r.start
		}
		if v == r.start+r.step*int64(s.n-r.from) {
			s.n++
			return
		}
	}
	s.runs = append(s.runs, progression{from: s.n, start: v})
	s.n++
}

// get gives the i-th number.
func (s *series) get(i int) int64 {
	r := s.runs[sort.Search(len(s.runs), func(k int) bool { return s.runs[k].from > i })-1]
	return r.start + r.step*int64(i-r.from)
}

// find gives where a number stands in a series that ascends.
func (s *series) find(v int64) (i int, ok bool) {
	k := sort.Search(len(s.runs), func(k int) bool { return s.runs[k].start > v }) - 1
	if k < 0 {
		return 0, false
	}
	r, end := s.runs[k], s.n
	if k+1 < len(s.runs) {
		end = s.runs[k+1].from
	}
	i = r.from
	if r.step > 0 {
		i += int((v - r.start) / r.step)
	}
	return i, i < end && s.get(i) == v
}
