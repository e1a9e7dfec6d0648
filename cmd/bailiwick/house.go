package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/cache"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
	"github.com/bailiwick/bailiwick/policies"
)

// house is everything below the doors, wired up by hand.
type house struct {
	engine    *engine.Engine
	kept      *cache.Decisions
	keys      *service.Keys
	follower  *service.Follower
	authority *service.Authority
	decisions *service.Decisions
	shadow    *service.Shadow // nil where nothing is compared with stock Casbin
	policies  *service.Policies
	tenants   *service.Tenants
	directory *service.Directory
	past      *service.Past
	history   *service.History
	accounts  *service.Accounts
	mails     *service.Mails   // nil where none are sent
	records   *service.Records // nil for policies that were read from files

	refusals    *service.Refusals
	checkpoints *service.Checkpoints // nil where nothing is signed

	replaysThatDiffer atomic.Uint64
}

// storage is what the services need to be kept somewhere.
type storage interface {
	service.Source
	engine.Subjects
	service.KeyStore
	service.PolicyStore
	service.TenantStore
	service.DirectoryStore
	service.RefusalStore
	Secret(ctx context.Context) ([]byte, error)
	Purge(ctx context.Context, tenant string, before time.Time) (access.Delta, error)
	service.PastStore
	service.HistoryStore
	service.DirectoryPast
	Then(at access.Revision) *store.Then
	service.AccountStore
}

// aside is what a server has beside its storage and a command has not.
type aside struct {
	mails *service.Mails  // mails that changes bring about wait in the store when nil
	seals *service.Sealer // of second factors
}

// furnish wires the rooms over a storage, with caches beside it. source is the
// door through which changes come, for the history.
func furnish(s storage, near *caches, cfg config.Config, source string, has aside, log *slog.Logger) *house {
	h, now := &house{mails: has.mails}, clock()
	h.engine = engine.New(engine.Options{
		Clock: now, CacheBytes: near.subjects, Subjects: s, Behind: func(ctx context.Context, tenant string) error { return h.follower.Refresh(ctx, tenant) },
	})
	kept := near.options
	kept.Clock = now
	h.kept = cache.New(pinning{h.engine}, kept)
	h.keys = service.NewKeys(s, service.KeysOptions{Source: source})
	h.follower = service.NewFollower(h.engine, s, h.keys, service.FollowerOptions{
		PollInterval: cfg.Store.PollInterval, StaleAfter: cfg.Store.StaleAfter, Announce: near.announce, Scans: h.scans,
		Secret: s.Secret, Clock: now, Log: log, Purge: purging(s, cfg.Directory.RestoreWindow),
	})
	h.refusals = service.NewRefusals(s, service.RefusalsOptions{Age: cfg.Audit.RefusalAge, Rows: cfg.Audit.RefusalRows, Clock: now, Log: log})
	h.authority = service.NewAuthority(h.engine, h.follower, service.AuthorityOptions{Log: log, Refusals: h.refusals, Unsealed: unsealed(cfg)})
	h.refusals.Under(h.authority, h.follower)
	h.keys.Under(h.authority)
	h.decisions = service.NewDecisions(h.kept, h.follower, h.authority)
	h.past = service.NewPast(s, func(f access.Facts) (func(time.Time) service.Answers, error) { return rebuild(s, f) })
	h.policies = service.NewPolicies(bundles{}, h.engine, s, h.follower, h.authority)
	h.history = service.NewHistory(s, h.follower, h.authority, h.past, h.policies)
	h.tenants = service.NewTenants(s, h.follower, h.authority, template)
	h.directory = service.NewDirectory(s, h.kept, h.authority, h.follower, service.DirectoryOptions{
		RestoreWindow: cfg.Directory.RestoreWindow, Mails: has.mails,
	})
	h.directory.Recall(h.past, s)
	h.decisions.Recall(h.past, h.directory)
	h.accounts = service.NewAccounts(s, h.directory, service.AccountsOptions{Sealer: has.seals, Clock: now, Log: log})
	return h
}

// purging purges what was deleted longer ago than it can be restored.
func purging(s storage, window time.Duration) func(context.Context, string, time.Time) (access.Delta, error) {
	return func(ctx context.Context, tenant string, now time.Time) (access.Delta, error) {
		return s.Purge(ctx, tenant, now.Add(-window))
	}
}

// rebuild makes an engine of a state of the past. It shares nothing with what
// decides now, and no cache keeps what it says.
func rebuild(s storage, f access.Facts) (func(time.Time) service.Answers, error) {
	e, err := engine.Alone(f, engine.Options{Subjects: s.Then(f.Revision), CacheBytes: pastBytes})
	if err != nil {
		return nil, err
	}
	return func(now time.Time) service.Answers { return e.At(now) }, nil
}

// pastBytes bounds what is remembered of the users of one state of the past.
const pastBytes = 16 << 20

// scans tells whether some set of definitions of a tenant's model can only be
// answered by looking at many rules.
func (h *house) scans(tenant string) bool {
	s, ok := h.engine.Snapshot(tenant)
	return ok && slices.ContainsFunc(s.Plans(), func(p plan.Info) bool { return p.Slow })
}

// moveIn loads everything once, and refuses to start on a half: every tenant
// must decide by its newest revision.
func (h *house) moveIn(ctx context.Context) error {
	if err := h.follower.Start(ctx); err != nil {
		return err
	}
	if r := h.follower.Ready(); !r.Ready || len(r.Reasons) > 0 {
		return fmt.Errorf("%s", r.Reasons[0])
	}
	return nil
}

// operator is the caller at the keyboard of the machine that the database is on.
func operator() access.Caller {
	return access.Caller{Name: "cli", Tenant: access.AllTenants, May: access.KeyAdmin}
}

// template reads one of the sample policies.
func template(name string) (access.Policy, error) {
	files, err := policies.FS(name)
	if errors.Is(err, fs.ErrNotExist) {
		return access.Policy{}, access.Invalid("template", "%q is none of %s", name, strings.Join(policies.Tenants(), ", "))
	}
	if err != nil {
		return access.Policy{}, err
	}
	b, err := readBundle(files)
	if err != nil {
		return access.Policy{}, err
	}
	return b.Policy, nil
}

// bundles reads policies for the service.
type bundles struct{}

// Read reads and checks the files; their tests run against their own policy.
func (bundles) Read(files fs.FS) (service.Bundle, error) {
	b, err := readBundle(files)
	if err != nil {
		return service.Bundle{}, err
	}
	return service.Bundle{
		Policy: b.Policy, Warnings: b.Warnings,
		Test: func(ctx context.Context) (service.TestReport, error) { return testSummary(ctx, b) },
	}, nil
}

// Write gives the files of a policy.
func (bundles) Write(p *access.Policy) (map[string]string, error) { return bundle.Write(p) }

// bundleOptions say what the engine takes.
var bundleOptions = bundle.Options{ModelOf: engine.ModelOf, CheckCondition: engine.CheckCondition}

func readBundle(files fs.FS) (*bundle.Bundle, error) {
	b, err := bundle.Read(files, bundleOptions)
	if err != nil {
		return nil, err
	}
	if _, err := engine.Compile(b.Policy.Facts()); err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return b, nil
}
