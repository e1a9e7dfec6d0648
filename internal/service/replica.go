package service

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ReplicaStore keeps what replicas say of themselves.
type ReplicaStore interface {
	Beat(ctx context.Context, r access.Replica) error
	Leave(ctx context.Context, id string) error
	Replicas(ctx context.Context) ([]access.Replica, error)
}

// ReplicasOptions say what this process is. The zero value works.
type ReplicasOptions struct {
	Version string
	Every   time.Duration // how often this process says how it does; 10 s when zero
	// Tenants tells what decides for each tenant, by its code.
	Tenants func() map[string]TenantReport
	// Caches tells how the caches of this process do.
	Caches func() []CacheReport
	// Mail tells how the sending of mails does.
	Mail func() MailReport
	// Authority tells which people may look; nil: none of them.
	Authority *Authority
	Clock     func() time.Time
	Log       *slog.Logger
}

// TenantReport is what decides for a tenant.
type TenantReport struct {
	Policy  access.Revision // newest revision that changed more than single users
	Rules   int
	Users   int  // accounts held in memory
	Fetched bool // users are asked for one by one
	Plans   []PlanReport
}

// PlanReport is how questions under one set of definitions are answered.
type PlanReport struct {
	Set  string // "" for r, p, e and m
	Plan string // native, candidates or scan
	Why  string
}

// CacheReport is how one layer of caches does.
type CacheReport struct {
	Layer        string
	Hits, Misses uint64
	Entries      int
	Bytes        uint64
	State        string // empty when all is well
}

// Replicas tells how this process does, and how the others over the same store
// do. It decides nothing: an installation works as well without it.
type Replicas struct {
	store   ReplicaStore
	state   *Follower
	opts    ReplicasOptions
	id      string
	started time.Time
	address atomic.Pointer[string]
	mute    atomic.Bool // the last attempt to write failed
}

// NewReplicas makes this process known under a random id.
func NewReplicas(s ReplicaStore, f *Follower, o ReplicasOptions) *Replicas {
	o.Every = orDefault(o.Every, 10*time.Second)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Replicas{store: s, state: f, opts: o, id: strings.ToLower(rand.Text()[:12]), started: o.Clock().UTC()}
}

// Run says how this process does, again and again, until ctx ends; then that it
// has left. A store that cannot be told is no reason to stop.
func (r *Replicas) Run(ctx context.Context, address string) {
	r.address.Store(&address)
	defer r.leave(ctx)
	for {
		next := time.NewTimer(r.beat(ctx))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
		}
	}
}

// beat says how this process does, and gives the time until the next time: soon
// after a failure, so that its end is noticed soon.
func (r *Replicas) beat(ctx context.Context) time.Duration {
	within, cancel := context.WithTimeout(ctx, beatTime)
	defer cancel()
	err := r.store.Beat(within, r.self())
	if ctx.Err() != nil {
		return 0
	}
	if r.mute.Store(err != nil); err == nil {
		return r.opts.Every
	}
	r.opts.Log.Warn("this replica could not say how it does", "error", err)
	return min(r.opts.Every, time.Second)
}

// beatTime bounds what saying how this process does may take.
const beatTime = 3 * time.Second

// Trouble says in words that nothing can be written, as the last attempt has
// shown; empty when it could. Questions are answered all the same.
func (r *Replicas) Trouble() string {
	if r.mute.Load() {
		return "nothing can be written to the store now, so changes are refused; the log says why"
	}
	return ""
}

func (r *Replicas) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := r.store.Leave(ctx, r.id); err != nil {
		r.opts.Log.Warn("this replica could not say that it ends", "error", err)
	}
}

func (r *Replicas) self() access.Replica {
	now := r.state.Following()
	self := access.Replica{
		ID: r.id, Version: r.opts.Version, Started: r.started, Seen: r.opts.Clock().UTC(),
		Tenants: len(now.Tenants), Behind: now.Behind(),
	}
	if address := r.address.Load(); address != nil {
		self.Address = *address
	}
	for _, t := range now.MostBehind(1) {
		self.Lag = t.Lag()
	}
	return self
}

// gone is after how long a replica that says nothing is taken to have ended.
const gone = time.Minute

// Status is how an installation does, as seen from this process.
type Status struct {
	Self     access.Replica
	Tenants  []TenantStatus
	Caches   []CacheReport   // nil for callers of one tenant
	Replicas []ReplicaStatus // this one too; nil for callers of one tenant
	Mail     *MailReport     // nil for callers of one tenant
	Trouble  string          // why other replicas are not shown, in words
}

// TenantStatus is how far a tenant was followed here, and what decides for it.
type TenantStatus struct {
	Standing
	TenantReport
	Age time.Duration // since what decides was known to be the newest; negative when never
}

// ReplicaStatus is a replica, and whether it still says something.
type ReplicaStatus struct {
	access.Replica
	Gone bool
}

// Status tells how this process does and, to callers of all tenants, how the
// others do. Callers of one tenant see that one; of people, who may look at its
// settings.
func (r *Replicas) Status(ctx context.Context, caller access.Caller) (Status, error) {
	if _, err := r.opts.Authority.Allow(ctx, caller, caller.Tenant, Need{Part: "Settings", Action: "show", Scope: access.Everywhere}); err != nil {
		return Status{}, err
	}
	s := Status{Self: r.self(), Tenants: r.tenants(caller)}
	if caller.Tenant != access.AllTenants {
		s.Self = access.Replica{ID: s.Self.ID, Version: s.Self.Version, Started: s.Self.Started, Seen: s.Self.Seen}
		return s, nil
	}
	if r.opts.Caches != nil {
		s.Caches = r.opts.Caches()
	}
	if r.opts.Mail != nil {
		s.Mail = new(r.opts.Mail())
	}
	all, err := r.store.Replicas(ctx)
	if err != nil {
		s.Trouble = words(err) // a store that is down is when people look
		r.opts.Log.Warn("the other replicas could not be read", "error", err)
	}
	s.Replicas = r.replicas(s.Self, all)
	return s, nil
}

func (r *Replicas) tenants(caller access.Caller) []TenantStatus {
	var reports map[string]TenantReport
	if r.opts.Tenants != nil {
		reports = r.opts.Tenants()
	}
	var all []TenantStatus
	for _, t := range r.state.Following().Tenants {
		if !caller.ActsOn(t.Tenant) {
			continue
		}
		age, ok := r.state.Age(t.Tenant, r.opts.Clock())
		if !ok {
			age = -1
		}
		all = append(all, TenantStatus{Standing: t, TenantReport: reports[t.Tenant], Age: age})
	}
	return all
}

// replicas puts this process among the others, as it is now.
func (r *Replicas) replicas(self access.Replica, all []access.Replica) []ReplicaStatus {
	all = slices.DeleteFunc(all, func(x access.Replica) bool { return x.ID == self.ID })
	shown := []ReplicaStatus{{Replica: self}}
	for _, x := range all {
		shown = append(shown, ReplicaStatus{Replica: x, Gone: self.Seen.Sub(x.Seen) > gone})
	}
	return shown
}
