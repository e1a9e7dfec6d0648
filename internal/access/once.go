package access

import (
	"fmt"
	"time"
)

// OnceFor is how long a change that is made once is remembered.
const OnceFor = 24 * time.Hour

// Once makes a change at most once, however often it is asked for: what was
// answered is kept in the transaction of the change, and given again.
type Once struct {
	ID      [32]byte // hash of who asks, for which tenant, where, and his key
	Caller  [32]byte // hash of who asks for which tenant
	Request [32]byte // hash of what is asked

	// Made points to what the change has made, see Making; nil where nothing but
	// its revision is told.
	Made any
	// Settle writes the answer, once Made and the revision are known. It may be
	// called again after a lost race. When it is nil, no answer is kept.
	Settle func(made any, at Revision) (Answer, error)
	// Kept is set where the change, or its answer from before, is in the store.
	Kept bool
}

// Making says where the edit leaves what it has made.
func (c Change) Making(made any) Change {
	if c.Once != nil {
		c.Once.Made = made
	}
	return c
}

// Answer is what was answered to a change.
type Answer struct {
	Status int // 0: the answer is not kept
	Tag    string
	Body   []byte
}

// Repeated is the error of a change that was made before. It is of kind
// ErrExists.
type Repeated struct { //nolint:errname // it says what happened
	Answer   Answer
	Revision Revision // that it made
}

func (r *Repeated) Error() string { return fmt.Sprintf("was made before, as revision %d", r.Revision) }

// Unwrap makes it an error of kind ErrExists.
func (r *Repeated) Unwrap() error { return ErrExists }

// ErrReused is an ErrInvalid of a key that stands for another request already.
var ErrReused = fmt.Errorf("reused: %w", ErrInvalid)
