package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Bundles reads policies from files.
type Bundles interface {
	// Read gives everything wrong at once as access.Problems.
	Read(files fs.FS) (Bundle, error)
	// Write gives the files of a policy, by name.
	Write(p *access.Policy) (map[string]string, error)
}

// Bundle is a policy that was read and passed every check of its text.
type Bundle struct {
	Policy   access.Policy
	Warnings access.Problems
	// Test runs the bundle's decision tests against its own policy, without
	// touching what decides.
	Test func(ctx context.Context) (TestReport, error)
}

// TestReport sums up a run of decision tests.
type TestReport struct {
	Passed, Failed, Skipped int
	Failures                []string // one sentence each, with the place of the expectation
}

// TestsFailed is the error of a policy that does not keep its own expectations.
type TestsFailed struct{ Report TestReport } //nolint:errname // it says what happened

// Error counts the failures.
func (e *TestsFailed) Error() string {
	return fmt.Sprintf("%d of %d decision tests failed", e.Report.Failed, e.Report.Failed+e.Report.Passed)
}

// Unwrap makes it an error of kind ErrInvalid.
func (*TestsFailed) Unwrap() error { return access.ErrInvalid }

// PolicyStore writes policies.
type PolicyStore interface {
	// Replace makes a policy what its tenant has, unless judge refuses what there
	// would be. He runs while the tenant is locked.
	Replace(ctx context.Context, p *access.Policy, c access.Change, judge func(access.Reading, access.Delta) error) (access.Delta, error)
	CreateTenant(ctx context.Context, t access.Tenant, c access.Change) (access.Revision, error)
	Heads(ctx context.Context) (map[string]access.Head, error)
	// View and ViewAt hand a reading of now or of an earlier revision to a function.
	View(ctx context.Context, tenant string, read func(access.Reading) error) error
	ViewAt(ctx context.Context, tenant string, at access.Revision, read func(access.Reading) error) error
}

// Policies puts policies into force.
type Policies struct {
	bundles   Bundles
	engine    Installer
	store     PolicyStore
	state     *Follower
	authority *Authority
}

// NewPolicies reads with bundles, compiles with engine and writes to the store,
// for whomever the authority lets in.
func NewPolicies(b Bundles, e Installer, s PolicyStore, f *Follower, a *Authority) *Policies {
	return &Policies{bundles: b, engine: e, store: s, state: f, authority: a}
}

// LoadOptions says how a policy is loaded. Its zero value replaces whatever is there.
type LoadOptions struct {
	Base         access.Revision // the revision that is to be replaced; any when 0
	Reason       string          // in the author's words, for the history
	Source       string          // the door: "http", "cli", "start"
	Plan         string          // hash of the plan that is to be applied, made for Base; none when empty
	DryRun       bool            // check, test and compile, but write nothing
	CreateTenant bool            // make the tenant if it does not exist; only for callers of all tenants
}

// LoadResult says what became of a load.
type LoadResult struct {
	Tenant   string
	Revision access.Revision // in force now; in a dry run what is in force still
	Changed  bool            // false: the policy was there already, or it was a dry run
	Warnings access.Problems
	Tests    TestReport
	Foretold *Rehearsed // what it would do, of a dry run for a tenant that is there
}

// Load reads a policy from files and puts it into force. Nothing is written
// before its text has been checked, its decision tests have passed and it has
// been compiled; when Load returns without error, every question asked from
// then on is answered by it. On any error the last good revision stays.
//
// The tenant that is named wins over the one in the files. A policy may hold
// anything, so of people only superusers may load one.
func (p *Policies) Load(ctx context.Context, caller access.Caller, tenant string, files fs.FS, o LoadOptions) (LoadResult, error) {
	result := LoadResult{Tenant: tenant}
	if _, err := p.authority.Allow(ctx, caller, tenant, Need{Part: "Policies", Action: "update", Superuser: true}); err != nil {
		return result, err
	}
	if err := access.ValidCode("tenant", tenant); err != nil {
		return result, err
	}
	stored, err := p.head(ctx, caller, tenant, o)
	stale := errors.Is(err, access.ErrStale)
	if err != nil && !stale {
		return result, err
	}
	if err := planned(stored.Epoch, tenant, files, o); err != nil {
		return result, err
	}
	head := stored.Revision
	result.Revision = head
	bundle, err := p.check(ctx, tenant, files, &result)
	if err == nil && stale {
		err = p.moved(ctx, tenant, o.Base, head, &bundle.Policy)
	}
	switch {
	case err != nil:
		return result, err
	case o.DryRun:
		result.Foretold, err = p.tried(ctx, caller, &bundle.Policy, head)
		return result, err
	}
	return result, p.write(ctx, caller, &bundle.Policy, o, &result)
}

// tried goes through a load without making it, and gives whatever would refuse it.
func (p *Policies) tried(ctx context.Context, caller access.Caller, policy *access.Policy, head access.Revision) (*Rehearsed, error) {
	if head == 0 {
		return nil, p.authority.keepsItself(ctx, policy)
	}
	j, d, err := p.rehearse(ctx, caller, policy, access.AnyRevision)
	switch {
	case err != nil:
		return nil, err
	case j != nil && len(j.broken) > 0:
		return nil, &GuaranteeBroken{Breaches: j.broken}
	}
	return foretold(p.authority.rehearsed(ctx, j, d))
}

// planned refuses files that are not those of the plan that is to be applied.
func planned(epoch, tenant string, files fs.FS, o LoadOptions) error {
	if o.Plan == "" {
		return nil
	}
	if o.Base == 0 {
		return access.Invalid("base_revision", "is required where a plan is applied")
	}
	hash, err := PlanHash(epoch, tenant, o.Base, files)
	if err == nil && hash != o.Plan {
		err = access.Invalid("plan", "is not the plan of these files for revision %d of this store: plan again", o.Base)
	}
	return err
}

// headTime bounds the first question to the store. A policy may take minutes;
// that nothing can be stored now is said at once.
const headTime = 3 * time.Second

// head gives what is stored of a tenant, nothing of one that is to be created.
func (p *Policies) head(ctx context.Context, caller access.Caller, tenant string, o LoadOptions) (access.Head, error) {
	ctx, cancel := context.WithTimeout(ctx, headTime)
	defer cancel()
	heads, err := p.store.Heads(ctx)
	if err != nil {
		return access.Head{}, err
	}
	head, ok := heads[tenant]
	switch {
	case !ok && !o.CreateTenant:
		return head, access.NotFound("tenant", tenant)
	case !ok:
		_, err := p.authority.Allow(ctx, caller, access.AllTenants, Need{Part: "Settings", Action: "insert"})
		return head, err
	case o.Base != 0 && o.Base != access.AnyRevision && o.Base != head.Revision:
		return head, &access.Error{
			Kind: access.ErrStale, Field: "base_revision",
			Message: fmt.Sprintf("the policy was made for revision %d; the tenant is at %d", o.Base, head.Revision),
		}
	}
	return head, nil
}

// check does everything that can be known before writing.
func (p *Policies) check(ctx context.Context, tenant string, files fs.FS, result *LoadResult) (Bundle, error) {
	bundle, err := p.bundles.Read(files)
	if err != nil {
		return Bundle{}, err
	}
	bundle.Policy.Tenant = tenant
	result.Warnings = bundle.Warnings
	if result.Tests, err = bundle.Test(ctx); err != nil {
		return Bundle{}, fmt.Errorf("run decision tests: %w", err)
	}
	if result.Tests.Failed > 0 {
		return Bundle{}, &TestsFailed{Report: result.Tests}
	}
	return bundle, p.fits(&bundle.Policy)
}

// fits refuses a policy that cannot be put in force here.
func (p *Policies) fits(want *access.Policy) error {
	if err := p.authority.attainable(want); err != nil {
		return err
	}
	if _, err := p.engine.Prepare(want.Facts()); err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	return nil
}

func (p *Policies) write(ctx context.Context, caller access.Caller, policy *access.Policy, o LoadOptions, result *LoadResult) error {
	change := access.Change{Base: o.Base, Author: caller.Name, Source: o.Source, Reason: o.Reason}
	if result.Revision == 0 {
		if err := p.authority.keepsItself(ctx, policy); err != nil {
			return err // and no empty tenant is left behind
		}
		created, err := p.create(ctx, policy, change)
		if err != nil {
			return err
		}
		result.Revision, change.Base = created, created
	}
	if change.Base == 0 {
		change.Base = access.AnyRevision
	}
	before := result.Revision
	_, d, err := p.replace(ctx, caller, policy, change)
	if errors.Is(err, access.ErrStale) && o.Base != 0 { // somebody was quicker just now
		return p.moved(ctx, policy.Tenant, o.Base, d.From, policy)
	}
	if err != nil {
		return err
	}
	result.Revision, result.Changed = d.To, d.To != before
	return p.state.inForce(ctx, policy.Tenant, d)
}

// create makes an empty tenant, which is in force then.
func (p *Policies) create(ctx context.Context, policy *access.Policy, c access.Change) (access.Revision, error) {
	made, err := p.store.CreateTenant(ctx, access.Tenant{Code: policy.Tenant, Description: policy.Description}, c)
	if err != nil {
		return 0, err
	}
	return made, p.state.reach(ctx, p.state.tenant(policy.Tenant), made)
}

// replace writes a policy, or rehearses that, in front of its judge.
func (p *Policies) replace(ctx context.Context, caller access.Caller, policy *access.Policy, c access.Change) (*judgement, access.Delta, error) {
	var j *judgement
	d, err := p.store.Replace(ctx, policy, c, func(r access.Reading, delta access.Delta) (err error) {
		j, err = p.authority.judgePolicy(ctx, caller, policy, r, c, delta)
		return err
	})
	return j, d, p.authority.noted(caller, policy.Tenant, Need{Part: "Policies", Action: "update"}, err)
}

// judgePolicy refuses a policy that takes away the last superuser or breaks a
// guarantee. Whoever comes so far is a superuser or a key, who may do all else.
//
// Where nothing of ours is in force yet, as under a Casbin model of the tenant's
// own, there is nothing to compare with: what the policy says itself is held
// against its guarantees.
func (a *Authority) judgePolicy(ctx context.Context, caller access.Caller, policy *access.Policy, r access.Reading, c access.Change, d access.Delta) (*judgement, error) {
	j := &judgement{touched: slices.Sorted(maps.Keys(touchedBy(&d))), draft: r}
	if a == nil || policy.Model != "" {
		return j, nil
	}
	now, err := a.sights.Sight(policy.Tenant)
	if errors.Is(err, access.ErrNotFound) || err == nil && !now.Frame().Ours() {
		return j, a.alone(ctx, policy, j, c.Rehearse)
	}
	if err != nil {
		return j, err
	}
	if _, err := a.foresee(ctx, caller, Need{Part: "Policies", Action: "update", Superuser: true}, j, d); err != nil {
		return j, err
	}
	if err := j.keepsSuperuser(ctx); err != nil {
		return j, err
	}
	return j, a.guarantees(ctx, j, c.Rehearse)
}

// alone holds a policy against its guarantees by what it says itself.
func (a *Authority) alone(ctx context.Context, policy *access.Policy, j *judgement, rehearse bool) (err error) {
	if j.after, err = a.sights.Imagine(policy.Facts()); err != nil {
		return err
	}
	return a.guarantees(ctx, j, rehearse)
}

// keepsItself refuses a policy that breaks its own guarantees.
func (a *Authority) keepsItself(ctx context.Context, policy *access.Policy) error {
	if a == nil || policy.Model != "" {
		return nil
	}
	return a.alone(ctx, policy, &judgement{}, false)
}
