package service

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// CheckpointStore keeps signed statements about histories.
type CheckpointStore interface {
	// AddCheckpoint signs the newest revision of a tenant, unless that was done.
	// ErrInvalid: what was signed before, or follows it, is not as it was written.
	AddCheckpoint(ctx context.Context, tenant string) (access.Checkpoint, error)
}

// Checkpoints looks after the signatures of histories. Revisions are signed when
// they are made; it signs what others have made without the key, and notices
// within a second where history was rewritten: that is never signed.
type Checkpoints struct {
	store   CheckpointStore
	state   *Follower
	log     *slog.Logger
	signed  map[string]access.Head // by tenant; used by Run alone, as is
	trouble map[string]string      // what was last said of a tenant
	made    atomic.Uint64
	failed  atomic.Uint64
}

// NewCheckpoints signs once Run runs.
func NewCheckpoints(s CheckpointStore, f *Follower, log *slog.Logger) *Checkpoints {
	return &Checkpoints{store: s, state: f, log: log, signed: map[string]access.Head{}, trouble: map[string]string{}}
}

const (
	checkpointLook = time.Second
	checkpointTime = time.Minute // a long history that was never signed is gone through once
)

// Run signs until ctx ends, and then once more what has changed.
func (c *Checkpoints) Run(ctx context.Context) {
	look := time.NewTicker(checkpointLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			defer cancel()
			c.look(ctx)
			return
		case <-look.C:
			c.look(ctx)
		}
	}
}

// look signs what has changed and is not signed.
func (c *Checkpoints) look(ctx context.Context) {
	for _, t := range c.state.Following().Tenants {
		if t.Head.Revision > 0 && c.signed[t.Tenant] != t.Head {
			c.sign(ctx, t.Tenant, t.Head)
		}
	}
}

func (c *Checkpoints) sign(ctx context.Context, tenant string, head access.Head) {
	ctx, cancel := context.WithTimeout(ctx, checkpointTime)
	defer cancel()
	made, err := c.store.AddCheckpoint(ctx, tenant)
	if err != nil {
		c.failed.Add(1)
		if c.trouble[tenant] != err.Error() {
			c.log.Error("a history could not be signed", "tenant", tenant, "error", err)
		}
		c.trouble[tenant] = err.Error()
		return
	}
	if made.Number > 0 {
		c.made.Add(1)
	}
	c.signed[tenant] = head
	delete(c.trouble, tenant)
}

// Counts tells how many revisions were signed that others had made, and how many attempts failed.
func (c *Checkpoints) Counts() (made, failed uint64) { return c.made.Load(), c.failed.Load() }

// TrailStore writes histories down.
type TrailStore interface {
	Trail(ctx context.Context, tenant string, take func(access.TrailLine) error) error
}

// Trails shows whole histories to auditors.
type Trails struct {
	store     TrailStore
	authority *Authority
}

// NewTrails shows what the store has.
func NewTrails(s TrailStore, a *Authority) *Trails { return &Trails{store: s, authority: a} }

// Write hands a tenant's whole history to take, line by line.
func (t *Trails) Write(ctx context.Context, caller access.Caller, tenant string, take func(access.TrailLine) error) error {
	if _, err := t.authority.Allow(ctx, caller, tenant, ofRecords); err != nil {
		return err
	}
	return t.store.Trail(ctx, tenant, take)
}
