package engine

import "github.com/bailiwick/bailiwick/internal/access"

// Advance gives the snapshot to which a difference leads, and leaves s as it is.
// An error of kind access.ErrStale says that the difference does not fit.
func (s *Snapshot) Advance(d access.Delta) (*Snapshot, error) {
	facts, err := apply(s.facts, &d)
	if err != nil {
		return nil, err
	}
	return compile(facts, s.options)
}
