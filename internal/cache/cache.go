// Package cache keeps answers: in this process, and in a Redis that replicas
// share. It stands in front of the engine and has the same methods; with it or
// without, with a Redis that is slow, empty, gone or in the hands of an
// attacker, the answers are the same.
//
// An answer is found by a keyed hash of the question and of everything else it
// depends on, above all the revisions: what was true before a change is not
// asked for after it, so nothing has ever to be deleted. A value in Redis names
// the place it was written for and carries a MAC over all of it. It is used
// only while it holds by the clock of the reader. Failures are not kept.
package cache

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Snapshot is one tenant at one revision.
type Snapshot interface {
	// Revision is what every answer of this snapshot is given at.
	Revision() access.Revision
	// Stamp names all that an answer about a subject depends on.
	Stamp(subject access.Subject) access.Stamp
	// Warm tells whether an answer costs less than to look for it: nothing has
	// to be read from the store, and no model has to be interpreted.
	Warm(r *access.Request) bool
	Decide(ctx context.Context, r *access.Request) (access.Decision, error)
	DecideAll(ctx context.Context, rs []access.Request) ([]access.Decision, error)
}

// Engine decides. Its answers may be of a newer revision than the snapshot that
// was pinned before; such answers are passed on and not kept.
type Engine interface {
	Pin(tenant string) (Snapshot, error)
	Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error)
	DecideAll(ctx context.Context, tenant string, rs []access.Request) ([]access.Decision, error)
	Explain(ctx context.Context, tenant string, r *access.Request) (access.Explanation, error)
	SearchActions(ctx context.Context, tenant string, r *access.Request) (access.Menu, error)
	SearchSections(ctx context.Context, tenant string, r *access.Request) (access.Menu, error)
	SearchSubjects(ctx context.Context, tenant string, s *access.SubjectSearch) (access.Holders, error)
}

// Mode says which answers are looked for in Redis.
type Mode string

// The modes. They give the same answers.
const (
	Auto   Mode = "auto"   // where it pays: subjects whose facts are not at hand, interpreted models, searches
	Always Mode = "always" // every answer
	Off    Mode = "off"    // none
)

// Options for New. The zero value keeps nothing.
type Options struct {
	Memory int64            // most bytes of answers kept in this process; 0 keeps none
	Redis  *Redis           // nil: none
	Mode   Mode             // how Redis is used; Auto when empty
	Clock  func() time.Time // the engine's; time.Now when nil
}

// Decisions answers as its engine does. What it answers must not be changed.
type Decisions struct {
	engine Engine
	memory *memory
	redis  *Redis // nil where answers are not kept there
	mode   Mode
	clock  func() time.Time
	keys   *keys
	ttl    time.Duration

	hits, misses, expired atomic.Uint64 // of Redis
}

// New puts a cache in front of an engine.
func New(engine Engine, o Options) *Decisions {
	set(&o.Mode, Auto)
	c := &Decisions{engine: engine, memory: newMemory(o.Memory), mode: o.Mode, clock: o.Clock, ttl: defaultTTL}
	if c.clock == nil {
		c.clock = time.Now
	}
	if o.Redis == nil || o.Mode == Off {
		c.mode, c.keys = Off, newKeys([]byte(rand.Text())) // nobody else looks for our keys
		return c
	}
	c.redis, c.keys, c.ttl = o.Redis, newKeys(o.Redis.keySeed), o.Redis.options.TTL
	return c
}

// defaultTTL is how long an answer is kept at most. Those of old revisions are
// not asked for again, and only take room until then.
const defaultTTL = 10 * time.Minute

// Decide answers one question.
func (c *Decisions) Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error) {
	s, err := c.engine.Pin(tenant)
	if err != nil {
		return c.engine.Decide(ctx, tenant, r) // it says why not
	}
	k, ok := c.decisionKey(s, r)
	if !ok {
		return s.Decide(ctx, r)
	}
	return through(ctx, c, &decisions, k, s, func() (access.Decision, error) { return s.Decide(ctx, r) })
}

// DecideAll answers questions from one revision, in their order. What is found
// and what is asked for must fit together; where it does not, all is asked for.
func (c *Decisions) DecideAll(ctx context.Context, tenant string, rs []access.Request) ([]access.Decision, error) {
	s, err := c.engine.Pin(tenant)
	if err != nil {
		return c.engine.DecideAll(ctx, tenant, rs)
	}
	b := batch{Decisions: c, snapshot: s, all: make([]access.Decision, len(rs)), places: make([]key, len(rs)), state: make([]state, len(rs))}
	b.look(ctx, rs)
	if b.found == 0 {
		return b.ask(ctx, rs)
	}
	if err := b.fill(ctx, rs); err != nil {
		return nil, err
	}
	if !b.fits() {
		return s.DecideAll(ctx, rs)
	}
	return b.all, nil
}

// Explain answers one question with everything that led to the answer, always
// from the engine.
func (c *Decisions) Explain(ctx context.Context, tenant string, r *access.Request) (access.Explanation, error) {
	return c.engine.Explain(ctx, tenant, r)
}

// decisionKey gives the place of a decision, and false where it is not to be
// looked for.
func (c *Decisions) decisionKey(s Snapshot, r *access.Request) (key, bool) {
	if c.memory == nil && c.redis == nil || c.mode != Always && s.Warm(r) {
		return key{}, false
	}
	if r.Raw != nil { // who knows whom a model of others takes it to be about
		return c.keys.of(sortDecision, everybody(s), r)
	}
	if r.Check() != nil {
		return key{}, false
	}
	return c.keys.of(sortDecision, s.Stamp(r.Subject), r)
}

// everybody is the stamp of what depends on the facts of all users.
func everybody(s Snapshot) access.Stamp {
	at := s.Stamp(access.Subject{})
	at.Subject = s.Revision()
	return at
}

// through gives the answer that is kept in the place k, or asks and keeps.
func through[T any](ctx context.Context, c *Decisions, kind *answers[T], k key, s Snapshot, ask func() (T, error)) (T, error) {
	if ctx.Err() != nil {
		return ask()
	}
	if found, ok := recall(c, kind, k, s); ok {
		return found, nil
	}
	if found, ok := fromRedis(ctx, c, kind, []key{k}, s)[k]; ok {
		return found, nil
	}
	answer, err := ask()
	if err == nil && ctx.Err() == nil {
		keep(c, kind, k, s, &answer)
	}
	return answer, err
}

// recall looks in this process. An answer that is found was given for the same
// stamp, so it is true at the revision of the snapshot, and says so.
func recall[T any](c *Decisions, kind *answers[T], k key, s Snapshot) (answer T, ok bool) {
	kept, ok := c.memory.get(k, c.clock())
	if !ok {
		return answer, false
	}
	answer = kept.(T) //nolint:forcetypeassert // the key holds the sort of question
	revision, _ := kind.facts(&answer)
	*revision = s.Revision()
	return answer, true
}

// fromRedis gives what Redis has in some places, and keeps it in this process.
func fromRedis[T any](ctx context.Context, c *Decisions, kind *answers[T], places []key, s Snapshot) map[key]T {
	if c.redis == nil || len(places) == 0 {
		return nil
	}
	values := c.redis.get(ctx, places)
	now := c.clock() // read after the values, so that none has expired meanwhile
	found := make(map[key]T, len(values))
	for k, v := range values {
		if !v.holds(now) {
			c.expired.Add(1)
			continue
		}
		r := reading{rest: v.body}
		answer := kind.read(&r)
		if !r.end() {
			continue
		}
		c.memory.put(k, v, answer, now.Add(c.life(v, now)))
		revision, _ := kind.facts(&answer)
		*revision = s.Revision()
		found[k] = answer
	}
	c.hits.Add(uint64(len(found)))
	c.misses.Add(uint64(len(places) - len(found))) //nolint:gosec // what is found was asked for
	return found
}

// keep puts an answer away, unless it is a failure, of another revision than
// its place, or over at once, as what depends on the clock itself is.
func keep[T any](c *Decisions, kind *answers[T], k key, s Snapshot, answer *T) {
	revision, until := kind.facts(answer)
	if *revision != s.Revision() || !kind.whole(answer) {
		return
	}
	v := value{at: c.clock(), until: until} // after the answer was given: it did hold by then
	life := c.life(v, v.at)
	e := encoding{}
	kind.write(&e, answer)
	if life <= 0 || len(e.bytes) > maxBody {
		return
	}
	v.body = string(e.bytes)
	if c.memory != nil {
		r := reading{rest: v.body} // a copy that shares nothing with the question
		c.memory.put(k, v, kind.read(&r), v.at.Add(life))
	}
	if c.redis != nil {
		c.redis.put(k, v, life)
	}
}

// life is how long a value is kept from now on: as long as it holds, but not
// for ever, and of equal values some a little shorter, so that they do not all
// go at once. It is a span and not a moment: nobody's setting of a clock
// makes it longer.
func (c *Decisions) life(v value, now time.Time) time.Duration {
	life := c.ttl - mathrand.N(c.ttl/10+1) //nolint:gosec // chance, not a secret
	if !v.until.IsZero() {
		life = min(life, v.until.Sub(now))
	}
	return life
}
