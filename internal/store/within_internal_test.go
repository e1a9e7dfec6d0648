package store

import (
	"context"
	"errors"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// TestWithin: who waits for a commit that is never answered is told, when his
// time is over, that its outcome is unknown; where nothing was sent, it is known.
func TestWithin(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	never, sent := make(chan error), make(chan struct{})
	go func() { <-sent; cancel() }()
	err := within(ctx, func() error { close(sent); return <-never })
	if err = outcome(access.Delta{}, err); !errors.Is(err, access.ErrOutcomeUnknown) {
		t.Errorf("a commit without an answer: %v", err)
	}
	err = within(ctx, func() error { t.Error("sent although the time is over"); return nil })
	if err = outcome(access.Delta{}, err); !errors.Is(err, context.Canceled) || errors.Is(err, access.ErrOutcomeUnknown) {
		t.Errorf("a commit that was not sent: %v", err)
	}
}
