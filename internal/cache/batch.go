package cache

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// batch is several questions that are answered from one snapshot.
type batch struct {
	*Decisions
	snapshot Snapshot
	all      []access.Decision
	places   []key
	state    []state
	found    int
}

// state is how far one question of a batch has come.
type state byte

const (
	unkept state = iota // it is not looked for
	absent              // it was looked for in vain
	found               // its answer was kept
)

// look finds what is kept, here or in one round trip.
func (b *batch) look(ctx context.Context, rs []access.Request) {
	if ctx.Err() != nil {
		return
	}
	var missing []key
	for i := range rs {
		k, ok := b.decisionKey(b.snapshot, &rs[i])
		if !ok {
			continue
		}
		b.places[i], b.state[i] = k, absent
		if d, ok := recall(b.Decisions, &decisions, k, b.snapshot); ok {
			b.take(i, d)
			continue
		}
		missing = append(missing, k)
	}
	kept := fromRedis(ctx, b.Decisions, &decisions, missing, b.snapshot)
	for i := range rs {
		if d, ok := kept[b.places[i]]; ok && b.state[i] == absent {
			b.take(i, d)
		}
	}
}

func (b *batch) take(i int, d access.Decision) {
	b.all[i], b.state[i] = d, found
	b.found++
}

// ask puts all questions to the snapshot.
func (b *batch) ask(ctx context.Context, rs []access.Request) ([]access.Decision, error) {
	all, err := b.snapshot.DecideAll(ctx, rs)
	if err != nil {
		return all, err
	}
	b.all = all
	b.keep(ctx)
	return all, nil
}

// fill puts what was not found to the snapshot.
func (b *batch) fill(ctx context.Context, rs []access.Request) error {
	rest := make([]access.Request, 0, len(rs)-b.found)
	for i := range rs {
		if b.state[i] != found {
			rest = append(rest, rs[i])
		}
	}
	if len(rest) == 0 {
		return nil
	}
	answers, err := b.snapshot.DecideAll(ctx, rest)
	if err != nil {
		return err
	}
	for i := range rs {
		if b.state[i] != found {
			b.all[i], answers = answers[0], answers[1:]
		}
	}
	b.keep(ctx)
	return nil
}

func (b *batch) keep(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	for i := range b.all {
		if b.state[i] == absent {
			keep(b.Decisions, &decisions, b.places[i], b.snapshot, &b.all[i])
		}
	}
}

// fits tells whether all answers are of one revision, and still hold: those
// that were found held when they were found, the others were given later.
func (b *batch) fits() bool {
	now := b.clock().Round(0)
	for i := range b.all {
		d := &b.all[i]
		if d.Revision != b.snapshot.Revision() {
			return false
		}
		if b.state[i] == found && !d.ValidUntil.IsZero() && !now.Before(d.ValidUntil) {
			return false
		}
	}
	return true
}
