package service

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// CheckpointStore keeps signed statements about histories.
type CheckpointStore interface {
	// AddCheckpoint signs the newest revision of a tenant, unless that was done.
	AddCheckpoint(ctx context.Context, tenant string, key ed25519.PrivateKey) (access.Checkpoint, error)
}

// CheckpointsOptions for NewCheckpoints. The zero value of all but Key works.
type CheckpointsOptions struct {
	Key       ed25519.PrivateKey
	Every     time.Duration // after a change, at the latest; 5 minutes when 0
	Revisions int           // or after so many of them; 100 when 0
	Clock     func() time.Time
	Log       *slog.Logger
}

// Checkpoints signs the histories of tenants: whoever rewrites one, with all
// hashes, cannot sign it.
type Checkpoints struct {
	store  CheckpointStore
	state  *Follower
	opts   CheckpointsOptions
	signed map[string]signedAt // by tenant; used by Run alone
	made   atomic.Uint64
	failed atomic.Uint64
}

// signedAt is what was last signed of a tenant, or seen first of it.
type signedAt struct {
	head access.Head
	at   time.Time
}

// NewCheckpoints signs once Run runs.
func NewCheckpoints(s CheckpointStore, f *Follower, o CheckpointsOptions) *Checkpoints {
	o.Every = orDefault(o.Every, 5*time.Minute)
	if o.Revisions <= 0 {
		o.Revisions = 100
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Checkpoints{store: s, state: f, opts: o, signed: map[string]signedAt{}}
}

const (
	checkpointLook = time.Second
	checkpointTime = 3 * time.Second
)

// Run signs until ctx ends, and then once more what has changed.
func (c *Checkpoints) Run(ctx context.Context) {
	look := time.NewTicker(checkpointLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			c.look(context.WithoutCancel(ctx), true)
			return
		case <-look.C:
			c.look(ctx, false)
		}
	}
}

// look signs what is due, or all that has changed.
func (c *Checkpoints) look(ctx context.Context, all bool) {
	now := c.opts.Clock()
	for _, t := range c.state.Following().Tenants {
		was, known := c.signed[t.Tenant]
		switch {
		case t.Head.Revision == 0 || known && was.head == t.Head:
			continue
		case known && !all && was.head.Epoch == t.Head.Epoch && now.Sub(was.at) < c.opts.Every &&
			int(t.Head.Revision-was.head.Revision) < c.opts.Revisions: //nolint:gosec // in one epoch it only grows
			continue
		}
		c.sign(ctx, t.Tenant, t.Head, now)
	}
}

func (c *Checkpoints) sign(ctx context.Context, tenant string, head access.Head, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, checkpointTime)
	defer cancel()
	made, err := c.store.AddCheckpoint(ctx, tenant, c.opts.Key)
	if err != nil {
		c.failed.Add(1)
		c.opts.Log.Error("a history could not be signed", "tenant", tenant, "error", err)
		return
	}
	if made.Number > 0 {
		c.made.Add(1)
	}
	c.signed[tenant] = signedAt{head, now}
}

// Counts tells how many checkpoints were made, and how many attempts failed.
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
