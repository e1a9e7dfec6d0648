package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/bailiwick/bailiwick/internal/access"
)

// nativeVersion names the way in which questions to the built-in model are
// answered. It must be raised with every change by which the same facts could
// give another answer, reason, detail, deciding rule or moment until which it
// holds: answers kept elsewhere are found by it.
const nativeVersion = "native-1"

// foreignVersion is the same for models of tenants; the hash of the model is
// added to it.
const foreignVersion = "casbin-1-"

// Pinned is one tenant at one revision, for what takes several steps.
type Pinned struct {
	engine   *Engine
	snapshot *Snapshot
}

// Pin takes hold of what is in force. Its error is of kind access.ErrNotFound
// for an unknown tenant.
func (e *Engine) Pin(tenant string) (Pinned, error) {
	s, ok := e.Snapshot(tenant)
	if !ok {
		return Pinned{}, access.NotFound("tenant", tenant)
	}
	return Pinned{engine: e, snapshot: s}, nil
}

// Revision is the revision that was pinned.
func (p Pinned) Revision() access.Revision { return p.snapshot.revision }

// Stamp names all that an answer about this subject depends on besides the
// question and the clock. It holds for answers whose Revision is that of p.
func (p Pinned) Stamp(subject access.Subject) access.Stamp { return p.snapshot.stamp(subject) }

func (s *Snapshot) stamp(subject access.Subject) access.Stamp {
	stamp := access.Stamp{Tenant: s.tenant, Epoch: s.epoch, Policy: s.policy, Engine: nativeVersion}
	if stamp.Policy == 0 { // nobody said
		stamp.Policy = s.revision
	}
	if s.foreign != nil {
		// A user's own lines may bear upon others there.
		stamp.Policy, stamp.Engine = s.revision, s.foreignVersion()
		return stamp
	}
	if subject.Kind == access.KindUser && subject != access.Anonymous {
		stamp.Subject = s.stripeOf(access.StripeOf(subject.ID)).revision
	}
	return stamp
}

func (s *Snapshot) foreignVersion() string {
	sum := sha256.Sum256([]byte(s.facts.Model))
	return foreignVersion + hex.EncodeToString(sum[:])
}

// Warm tells whether the question can be answered without asking the store and
// without interpreting rules.
func (p Pinned) Warm(r *access.Request) bool {
	s := p.snapshot
	if s.foreign != nil {
		return s.foreign.plans[0].Name == "native"
	}
	who := subjectOf(r)
	return !s.absent(who) || s.recall(who.ID) != nil
}

// Decide answers one question, like Engine.Decide. An answer of another revision
// than that of p was given because the store knows more of the subject than p.
func (p Pinned) Decide(ctx context.Context, r *access.Request) (access.Decision, error) {
	if err := waiting(ctx); err != nil {
		return access.Decision{}, err
	}
	return p.engine.decide(ctx, p.snapshot, r)
}

// DecideAll answers many by one revision, like Engine.DecideAll.
func (p Pinned) DecideAll(ctx context.Context, rs []access.Request) ([]access.Decision, error) {
	return p.engine.decideAll(ctx, p.snapshot, rs)
}
