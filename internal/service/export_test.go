package service

import (
	"context"
	"runtime"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// InForce puts what was just committed in force, as a writer does.
func InForce(ctx context.Context, f *Follower, tenant string, d access.Delta) error {
	return f.inForce(ctx, tenant, d)
}

// InstallLate makes a follower answer writers before their revision decides,
// which is wrong: what would have to be done before is given to late.
func InstallLate(f *Follower, late func(install func())) { f.late = late }

// Look reads the heads and waits for no tenant.
func Look(ctx context.Context, f *Follower) error { return f.look(ctx) }

// Moved is closed when something else decides for a tenant.
func Moved(f *Follower, tenant string) <-chan struct{} {
	t := f.tenant(tenant)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.moved
}

// HoldLooks keeps the heads from being read.
func HoldLooks(f *Follower) (release func()) {
	f.turn.Lock()
	return f.turn.Unlock
}

// AwaitLooks waits until so many wait for one and the same reading.
func AwaitLooks(f *Follower, many int64) {
	for f.waiting.Load() < many {
		runtime.Gosched()
	}
}

// HalfMinute finds the half minute of a code, and CodeOf gives the code of one.
func HalfMinute(secret []byte, code string, now time.Time) (int64, bool, error) {
	return halfMinute(secret, code, now)
}

// CodeOf gives the code of a half minute.
func CodeOf(secret []byte, step int64) (string, error) { return codeOf(secret, step) }

// NewRecovery draws recovery codes.
func NewRecovery() ([]string, [][32]byte) { return newRecovery() }

// RecoveryHash hashes one of them.
func RecoveryHash(text string) [32]byte { return recoveryHash(text) }

// EnrolmentOf shows what goes into an app.
func EnrolmentOf(secret []byte, issuer, account string) (Enrolment, error) {
	return enrolment(secret, issuer, account)
}

// Hasher is what hashes passwords.
type Hasher = hasher

// NewHasher makes one.
func NewHasher(o HashingOptions) *Hasher { return newHasher(o) }

// Hash gives what is kept of a password.
func (h *hasher) Hash(ctx context.Context, password string) (string, error) {
	return h.hash(ctx, password)
}

// Turn takes a place among those that hash.
func (h *hasher) Turn(ctx context.Context) (leave func(), err error) { return h.turn(ctx) }

// Waiting counts those that hash and those that wait for a place.
func (h *hasher) Waiting() int { return len(h.waiting) }
