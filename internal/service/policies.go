package service

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Bundles reads policies from files.
type Bundles interface {
	// Read gives everything wrong at once as access.Problems.
	Read(files fs.FS) (Bundle, error)
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
	Apply(ctx context.Context, p *access.Policy, c access.Change) (access.Delta, error)
	CreateTenant(ctx context.Context, t access.Tenant, c access.Change) (access.Revision, error)
	Heads(ctx context.Context) (map[string]access.Head, error)
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
	head, err := p.head(ctx, caller, tenant, o)
	if err != nil {
		return result, err
	}
	result.Revision = head
	bundle, err := p.check(ctx, tenant, files, &result)
	if err != nil || o.DryRun {
		return result, err
	}
	return result, p.write(ctx, caller, &bundle.Policy, o, &result)
}

// headTime bounds the first question to the store. A policy may take minutes;
// that nothing can be stored now is said at once.
const headTime = 3 * time.Second

// head gives the tenant's newest revision, 0 for one that is to be created.
func (p *Policies) head(ctx context.Context, caller access.Caller, tenant string, o LoadOptions) (access.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, headTime)
	defer cancel()
	heads, err := p.store.Heads(ctx)
	if err != nil {
		return 0, err
	}
	stored, ok := heads[tenant]
	head := stored.Revision
	switch {
	case !ok && !o.CreateTenant:
		return 0, access.NotFound("tenant", tenant)
	case !ok:
		_, err := p.authority.Allow(ctx, caller, access.AllTenants, Need{Part: "Settings", Action: "insert"})
		return 0, err
	case o.Base != 0 && o.Base != access.AnyRevision && o.Base != head:
		return head, &access.Error{
			Kind: access.ErrStale, Field: "base_revision",
			Message: fmt.Sprintf("the policy was made for revision %d; the tenant is at %d", o.Base, head),
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
	if _, err := p.engine.Prepare(bundle.Policy.Facts()); err != nil {
		return Bundle{}, fmt.Errorf("compile: %w", err)
	}
	return bundle, nil
}

func (p *Policies) write(ctx context.Context, caller access.Caller, policy *access.Policy, o LoadOptions, result *LoadResult) error {
	change := access.Change{Base: o.Base, Author: caller.Name, Source: o.Source, Reason: o.Reason}
	if result.Revision == 0 {
		created, err := p.store.CreateTenant(ctx, access.Tenant{Code: policy.Tenant, Description: policy.Description}, change)
		if err != nil {
			return err
		}
		result.Revision, change.Base = created, created
	}
	if change.Base == 0 {
		change.Base = access.AnyRevision
	}
	before := result.Revision
	d, err := p.store.Apply(ctx, policy, change)
	if err != nil {
		return err
	}
	result.Revision, result.Changed = d.To, d.To != before
	return p.state.inForce(ctx, policy.Tenant, d)
}
