package service

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Recents gives decisions that were recorded lately, newest first.
type Recents interface {
	Recent(ctx context.Context, tenant string, n int) ([]access.Recorded, error)
}

// MaxLast is how many recorded decisions a plan looks at, at most.
const MaxLast = 100_000

// PlanOptions says what a plan looks at. Its zero value works.
type PlanOptions struct {
	Base     access.Revision                           // refuse with ErrStale where the tenant is at another one; any when 0
	Last     int                                       // recorded decisions that are asked again
	Recents  Recents                                   // where they are; none are asked when nil
	Names    int                                       // see access.ConsequenceOptions
	Progress func(stage string, done, total int) error // may be nil; its error ends the plan
}

// Plan is what putting policy files into force would do.
type Plan struct {
	Tenant       string
	Base         access.Revision // that it was made for
	Hash         string          // of store, tenant, base and files: what is applied is what was planned
	Changes      bool            // false: all of it is in force already
	Operations   []access.Operation
	Consequences access.Consequences
	Broken       []access.Breach
	Asked        int // recorded decisions that were asked again
	Unasked      int // those that cannot be: what they were asked is not kept as it was
	Turned       []Turned
	Warnings     access.Problems
	Tests        TestReport
}

// Turned is a recorded decision that would come out otherwise.
type Turned struct {
	Recorded access.Recorded
	Before   access.Decision // by what is in force
	After    access.Decision
}

// Plan tells what putting files into force would do, and writes nothing. Its
// errors are those of Load.
func (p *Policies) Plan(ctx context.Context, caller access.Caller, tenant string, files fs.FS, o PlanOptions) (*Plan, error) {
	if _, err := p.authority.Allow(ctx, caller, tenant, Need{Part: "Policies", Action: "show", Scope: access.Everywhere}); err != nil {
		return nil, err
	}
	var result LoadResult
	bundle, err := p.check(ctx, tenant, files, &result)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Tenant: tenant, Warnings: result.Warnings, Tests: result.Tests}
	head, err := p.head(ctx, caller, tenant, LoadOptions{})
	if err != nil {
		return nil, err
	}
	err = p.store.View(ctx, tenant, func(r access.Reading) error {
		plan.Base = r.Revision()
		before, err := withUsers(r, &bundle.Policy)
		if err == nil {
			plan.Operations = access.Diff(before, &bundle.Policy)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if o.Base != 0 && o.Base != plan.Base {
		return nil, p.moved(ctx, tenant, o.Base, plan.Base, &bundle.Policy)
	}
	if plan.Hash, err = PlanHash(head.Epoch, tenant, plan.Base, files); err != nil {
		return nil, err
	}
	j, d, err := p.rehearse(ctx, caller, &bundle.Policy, plan.Base)
	if err != nil {
		return nil, err
	}
	plan.Changes = d.From != d.To
	return plan, p.foretell(ctx, plan, j, o)
}

// rehearse goes through a load at one revision without making it.
func (p *Policies) rehearse(ctx context.Context, caller access.Caller, policy *access.Policy, base access.Revision) (*judgement, access.Delta, error) {
	c := access.Change{Base: base, Author: caller.Name, Source: "plan", Rehearse: true}
	return p.replace(ctx, operatorOf(caller), policy, c)
}

// operatorOf: who may look at a plan need not be one who may apply it.
func operatorOf(c access.Caller) access.Caller {
	return access.Caller{Name: c.Name, Tenant: c.Tenant, May: access.KeyAdmin}
}

// foretell adds what the rehearsed change does.
func (p *Policies) foretell(ctx context.Context, plan *Plan, j *judgement, o PlanOptions) error {
	if j == nil {
		return nil
	}
	plan.Broken = j.broken
	if j.before == nil || j.after == nil {
		plan.Consequences.Foreign = true
		return nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	told := 0
	progress := func(stage string) func(done, total int) {
		return func(done, total int) {
			if o.Progress == nil || done < total && done < told+total/100+1 {
				return
			}
			if told = done; done >= total {
				told = 0
			}
			if err := o.Progress(stage, done, total); err != nil {
				stop(err)
			}
		}
	}
	var err error
	plan.Consequences, err = p.authority.sights.Consequences(ctx, j.before, j.after, access.ConsequenceOptions{
		Who: j.touched, Some: true, Names: o.Names, Progress: progress("consequences"),
	})
	if err == nil {
		err = plan.ask(ctx, j, o, progress("decisions"))
	}
	return err
}

// ask puts recorded questions to both sights. What differs between them is what
// the change turns, whatever else has happened since they were recorded.
func (plan *Plan) ask(ctx context.Context, j *judgement, o PlanOptions, progress func(done, total int)) error {
	if o.Last == 0 || o.Recents == nil {
		return nil
	}
	all, err := o.Recents.Recent(ctx, plan.Tenant, min(o.Last, MaxLast))
	if err != nil {
		return err
	}
	for i := range all {
		progress(i+1, len(all))
		r := &all[i]
		if !r.Replayable() {
			plan.Unasked++
			continue
		}
		before, errBefore := j.before.Decide(ctx, &r.Request)
		after, errAfter := j.after.Decide(ctx, &r.Request)
		if err := errors.Join(errBefore, errAfter); err != nil && !errors.Is(err, access.ErrInvalid) {
			return err
		}
		if plan.Asked++; before.Allowed != after.Allowed {
			plan.Turned = append(plan.Turned, Turned{Recorded: *r, Before: before, After: after})
		}
	}
	return nil
}

// withUsers is the policy of a reading with those accounts that another policy
// lists: all others are left alone by it.
func withUsers(r access.Reading, wanted *access.Policy) (*access.Policy, error) {
	p := *r.Policy()
	for _, u := range wanted.Users {
		was, err := r.User(u.ID)
		if errors.Is(err, access.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.Users = append(p.Users, was)
	}
	return &p, nil
}

// PolicyMoved is an ErrStale: the tenant is no longer at the revision that a plan
// was made for. It tells what was changed since.
type PolicyMoved struct { //nolint:errname // it says what happened
	Base, Now  access.Revision
	Operations []access.Operation // without accounts that the files do not list
}

// Error says at which revision the tenant is.
func (e *PolicyMoved) Error() string {
	return fmt.Sprintf("base_revision: the policy was made for revision %d; the tenant is at %d", e.Base, e.Now)
}

// Unwrap makes it an error of kind ErrStale.
func (*PolicyMoved) Unwrap() error { return access.ErrStale }

// moved gives the error of a plan whose base is not in force any more.
func (p *Policies) moved(ctx context.Context, tenant string, base, now access.Revision, wanted *access.Policy) error {
	e := &PolicyMoved{Base: base, Now: now}
	var was, is *access.Policy
	err := p.store.ViewAt(ctx, tenant, base, func(r access.Reading) (err error) {
		was, err = withUsers(r, wanted)
		return err
	})
	if err != nil {
		return e // there was no such revision: there is nothing to compare with
	}
	err = p.store.View(ctx, tenant, func(r access.Reading) (err error) {
		e.Now = r.Revision()
		is, err = withUsers(r, wanted)
		return err
	})
	if err == nil {
		e.Operations = access.Diff(was, is)
	}
	return e
}

// PlanHash names a plan by what it would put in force, and where: another store may
// have a tenant of the same name at the same revision.
func PlanHash(epoch, tenant string, base access.Revision, files fs.FS) (string, error) {
	var names []string
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash the files: %w", err)
	}
	slices.Sort(names)
	h := sha256.New()
	write := func(text []byte) {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text)))) // never fails
		_, _ = h.Write(text)
	}
	write([]byte(epoch))
	write([]byte(tenant))
	write(binary.BigEndian.AppendUint64(nil, uint64(base)))
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return "", fmt.Errorf("hash the files: %w", err)
		}
		write([]byte(name))
		write(text)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
