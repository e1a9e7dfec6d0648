package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Rehearsed is what a change that was only rehearsed gives in the place of what
// it would have given: nothing was written. It is an error so that nobody takes
// the rehearsal for the change.
type Rehearsed struct { //nolint:errname // it says what happened
	Base         access.Revision // at which it was rehearsed
	Consequences access.Consequences
	Broken       []access.Breach // what would make the change fail
}

// Error says that nothing was written.
func (r *Rehearsed) Error() string {
	return fmt.Sprintf("rehearsed at revision %d; nothing was written", r.Base)
}

// rehearsed tells what a change would do. It is looked at when the tenant is no
// longer locked: sights do not change.
func (a *Authority) rehearsed(ctx context.Context, j *judgement, delta access.Delta) error {
	r := &Rehearsed{Base: delta.From}
	if j == nil {
		return r // there is nothing to change
	}
	r.Broken = j.broken
	if j.before == nil {
		r.Consequences.Foreign = true
		return r
	}
	var err error
	r.Consequences, err = a.sights.Consequences(ctx, j.before, j.after, access.ConsequenceOptions{Who: j.touched, Some: true})
	if err != nil {
		return err
	}
	return r
}

// foretold takes what a rehearsal tells out of the error that it is.
func foretold(err error) (*Rehearsed, error) {
	var r *Rehearsed
	if errors.As(err, &r) {
		return r, nil
	}
	return nil, err
}
