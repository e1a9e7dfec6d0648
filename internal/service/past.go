package service

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Past answers by what a tenant was at earlier revisions, with the engine that
// answers now. What was rebuilt is kept for a while: few states, and of large
// tenants fewer.
type Past struct {
	store   PastStore
	rebuild Rebuilder
	room    chan struct{} // filled by states that are being rebuilt

	mu   sync.Mutex
	kept []*rebuilt // the one asked for last at the end
}

// PastStore keeps the history.
type PastStore interface {
	// StateAt finds a state, or gives an error of kind ErrNotFound.
	StateAt(ctx context.Context, tenant string, of access.AsOf) (access.State, error)
	// LoadAt rebuilds what decisions read. ErrInvalid: the history is not what was written.
	LoadAt(ctx context.Context, tenant string, at access.Revision) (access.Facts, error)
}

// Rebuilder compiles facts of the past. What it gives answers by them and by
// nothing else, with the clock at a moment, and is not kept in other caches.
type Rebuilder func(f access.Facts) (at func(time.Time) Answers, err error)

// Answers is everything that can be asked of one state of a tenant.
type Answers interface {
	Decider
	Sight(tenant string) (access.Sight, error)
}

// Bounds on what is kept.
const (
	pastStates = 4
	pastLines  = 1_000_000 // rules and users, together; one state is kept whatever its size
	pastAtOnce = 2         // states that are rebuilt at one time
	pastTime   = 5 * time.Minute
)

// NewPast rebuilds from the store.
func NewPast(s PastStore, r Rebuilder) *Past {
	return &Past{store: s, rebuild: r, room: make(chan struct{}, pastAtOnce)}
}

// rebuilt is a state that is compiled, or will be once done is closed.
type rebuilt struct {
	tenant, hash string
	done         chan struct{}
	at           func(time.Time) Answers
	lines        int
	err          error
}

// Sight looks at a tenant as it was at a revision, with the clock at the moment
// at which that was made. It can be asked for the same At another moment.
func (p *Past) Sight(ctx context.Context, tenant string, revision access.Revision) (access.Sight, error) {
	answers, _, err := p.At(ctx, tenant, access.AsOf{Revision: revision})
	if err != nil {
		return nil, err
	}
	return answers.Sight(tenant)
}

// At gives what answers as of a state, and which state that is. An error of kind
// ErrNotFound says that there was none; one of kind ErrInvalid, that the history
// cannot be trusted.
func (p *Past) At(ctx context.Context, tenant string, of access.AsOf) (Answers, access.State, error) {
	state, err := p.store.StateAt(ctx, tenant, of)
	if err != nil {
		return nil, state, err
	}
	r, mine := p.claim(tenant, state.Hash)
	if mine {
		go p.fill(context.WithoutCancel(ctx), r, state.Revision)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, state, access.Unavailable("revision %d could not be rebuilt in time; it is being worked on", state.Revision)
	}
	if r.err != nil {
		return nil, state, r.err
	}
	return r.at(state.At), state, nil
}

// claim finds a state, or leaves it to the caller to fill.
func (p *Past) claim(tenant, hash string) (r *rebuilt, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.IndexFunc(p.kept, func(k *rebuilt) bool { return k.tenant == tenant && k.hash == hash })
	if at >= 0 {
		r = p.kept[at]
		p.kept = append(slices.Delete(p.kept, at, at+1), r)
		return r, false
	}
	r = &rebuilt{tenant: tenant, hash: hash, done: make(chan struct{})}
	p.kept = append(p.kept, r)
	return r, true
}

// fill rebuilds a state. Others may wait for it, so nobody's impatience ends it.
func (p *Past) fill(ctx context.Context, r *rebuilt, revision access.Revision) {
	ctx, cancel := context.WithTimeout(ctx, pastTime)
	defer cancel()
	p.room <- struct{}{}
	defer func() { <-p.room }()
	facts, err := p.store.LoadAt(ctx, r.tenant, revision)
	if err == nil {
		r.at, err = p.rebuild(facts)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r.err, r.lines = err, len(facts.Rules)+len(facts.Users)
	close(r.done)
	p.forget()
}

// forget drops what failed, and the oldest of what is too much. What is being
// filled stays: somebody waits for it.
func (p *Past) forget() {
	p.kept = slices.DeleteFunc(p.kept, func(r *rebuilt) bool { return r.err != nil })
	states, lines := 0, 0
	for i := len(p.kept) - 1; i >= 0; i-- {
		r := p.kept[i]
		if r.at == nil {
			continue
		}
		states, lines = states+1, lines+r.lines
		if states > 1 && (states > pastStates || lines > pastLines) {
			p.kept = slices.Delete(p.kept, i, i+1)
			lines -= r.lines
		}
	}
}
