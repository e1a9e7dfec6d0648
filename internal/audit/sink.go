package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// written gives a value as JSON.
func written(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// lines writes answers one a line. An answer that JSON cannot hold is written
// without what it was asked with.
func lines(batch []access.Recorded) []byte {
	var b bytes.Buffer
	for i := range batch {
		line, err := batch[i].MarshalJSON()
		if err != nil {
			bare := batch[i]
			bare.Masked = append(bare.Masked, "attributes")
			bare.Request.SubjectAttributes, bare.Request.ResourceAttributes, bare.Request.ActionAttributes, bare.Request.Context = nil, nil, nil, nil
			bare.Request.Raw = nil
			line, _ = bare.MarshalJSON() // nothing else in it can fail
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// Stream is a sink that writes lines, for instance to standard output. Whoever
// reads them keeps them.
type Stream struct{ To io.Writer }

// Name is "stdout".
func (Stream) Name() string { return "stdout" }

// Write writes one line for each answer.
func (s Stream) Write(_ context.Context, batch []access.Recorded) error {
	_, err := s.To.Write(lines(batch))
	return err
}

// Tend does nothing.
func (Stream) Tend(context.Context) error { return nil }

// Close leaves the writer open: it is somebody else's.
func (Stream) Close() error { return nil }

// Keeper keeps answers in a database.
type Keeper interface {
	// KeepDecisions keeps answers, all or none. One that is there already is left
	// as it is.
	KeepDecisions(ctx context.Context, batch []access.Recorded) error
	// ForgetDecisions removes answers that were given before a moment, and the
	// oldest ones beyond so many, some at a time; it tells whether it is done.
	ForgetDecisions(ctx context.Context, before time.Time, most int) (done bool, err error)
}

// Stored is a sink over a database that forgets what is old.
type Stored struct {
	Keeper Keeper
	Age    time.Duration // answers older than that are forgotten; 0: none
	Rows   int           // answers beyond that are forgotten, oldest first; 0: none
	Clock  func() time.Time
	Log    *slog.Logger

	forgetting atomic.Bool
	ended      sync.WaitGroup
}

// Name is "store".
func (*Stored) Name() string { return "store" }

// Write keeps answers.
func (s *Stored) Write(ctx context.Context, batch []access.Recorded) error {
	return s.Keeper.KeepDecisions(ctx, batch)
}

// Tend forgets what is old, beside the writing of what is new.
func (s *Stored) Tend(context.Context) error {
	if s.forgetting.Swap(true) {
		return nil // it is still at it
	}
	s.ended.Go(func() {
		defer s.forgetting.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), forgetTime)
		defer cancel()
		if err := s.forget(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("old decisions could not be removed from their log", "error", err)
		}
	})
	return nil
}

// forgetTime bounds one round; the rest is for the next.
const forgetTime = 50 * time.Second

func (s *Stored) forget(ctx context.Context) error {
	var before time.Time
	if s.Age > 0 {
		before = s.Clock().Add(-s.Age)
	}
	for ctx.Err() == nil {
		if done, err := s.Keeper.ForgetDecisions(ctx, before, s.Rows); done || err != nil {
			return err
		}
	}
	return nil
}

// Close waits until nothing is done any more. The database is somebody else's.
func (s *Stored) Close() error {
	s.ended.Wait()
	return nil
}
