package engine

import (
	"github.com/bailiwick/bailiwick/internal/access"
	"time"
)

type foreign struct{}

func newForeign(*access.Facts, Options) (*foreign, error) {
	return nil, access.Invalid("model", "only the built-in model is understood")
}
func (*foreign) decide(*Snapshot, *access.Request, time.Time) (access.Decision, error) {
	return access.Decision{}, access.ErrUnavailable
}
func (*foreign) explain(*Snapshot, *access.Request, time.Time) (access.Explanation, error) {
	return access.Explanation{}, access.ErrUnavailable
}
