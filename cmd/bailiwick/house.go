package main

import (
	"context"
	"crypto/rand"
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
	h.decisions.Recall(h.past)
	h.policies = service.NewPolicies(bundles{}, h.engine, s, h.follower, h.authority)
	h.history = service.NewHistory(s, h.follower, h.authority, h.past, h.policies)
	h.tenants = service.NewTenants(s, h.follower, h.authority, template)
	h.directory = service.NewDirectory(s, h.kept, h.authority, h.follower, service.DirectoryOptions{
		RestoreWindow: cfg.Directory.RestoreWindow, Mails: has.mails,
	})
	h.directory.Recall(h.past, s)
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

func readBundle(files fs.FS) (*bundle.Bundle, error) {
	b, err := bundle.Read(files, bundle.Options{ModelOf: engine.ModelOf})
	if err != nil {
		return nil, err
	}
	if _, err := engine.Compile(b.Policy.Facts()); err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return b, nil
}

// paper is a storage of one policy that was read from files: it can be asked
// about, and cannot be changed. Its revision is 0, which means "not stored".
type paper struct {
	service.AccountStore // none: nobody signs in to files

	facts access.Facts
	keys  []access.APIKey
}

var errNoHistory = access.Invalid("as_of", "policy files have no history")

var errPaper = errors.New("policy files cannot be changed through the API")

func (p *paper) Heads(context.Context) (map[string]access.Head, error) {
	return map[string]access.Head{p.facts.Tenant: {}}, nil
}

func (p *paper) Load(context.Context, string) (access.Facts, error) { return p.facts, nil }

func (p *paper) Changes(context.Context, string, access.Revision) (access.Delta, error) {
	return access.Delta{Tenant: p.facts.Tenant}, nil
}

func (p *paper) Subjects(context.Context, string, []string) ([]access.SubjectFacts, error) {
	return nil, errPaper // never asked: all users are in the facts
}

func (p *paper) Users(context.Context, string, string, int) ([]access.SubjectFacts, error) {
	return nil, errPaper
}

func (p *paper) StateAt(context.Context, string, access.AsOf) (access.State, error) {
	return access.State{}, errNoHistory
}

func (p *paper) LoadAt(context.Context, string, access.Revision) (access.Facts, error) {
	return access.Facts{}, errNoHistory
}

func (p *paper) History(context.Context, string, access.HistorySearch) (access.FoundVersions, error) {
	return access.FoundVersions{}, nil
}

func (p *paper) Revision(context.Context, string, access.Revision) (access.Version, error) {
	return access.Version{}, errNoHistory
}

func (p *paper) Operations(context.Context, string, access.Revision, access.Revision) ([]access.Operation, error) {
	return nil, errNoHistory
}

func (p *paper) Made(context.Context, string, access.Revision, []access.Rule) ([]access.RevisionEntry, error) {
	return nil, errNoHistory
}

func (p *paper) Change(context.Context, string, access.Revision) (before, after *access.Policy, head access.Revision, err error) {
	return nil, nil, 0, errNoHistory
}

func (p *paper) UsersSince(context.Context, string, access.Revision) ([]string, error) {
	return nil, errNoHistory
}

func (p *paper) ViewAt(context.Context, string, access.Revision, func(access.Reading) error) error {
	return errNoHistory
}

func (p *paper) FindUsersAt(context.Context, string, access.Revision, access.UserSearch) (access.FoundUsers, error) {
	return access.FoundUsers{}, errNoHistory
}

func (p *paper) Then(access.Revision) *store.Then { return nil } // there are no facts to ask with

func (p *paper) Expire(context.Context, string, time.Time) (access.Delta, error) {
	return access.Delta{}, nil
}

func (p *paper) Purge(context.Context, string, time.Time) (access.Delta, error) {
	return access.Delta{}, nil
}

// Secret is shared with nobody, and asked for once.
func (p *paper) Secret(context.Context) ([]byte, error) { return []byte(rand.Text()), nil }

func (p *paper) Keys(context.Context) ([]access.APIKey, error) { return p.keys, nil }

func (p *paper) AddKey(_ context.Context, k access.APIKey, _ access.Change) error {
	p.keys = append(p.keys, k)
	return nil
}

func (p *paper) RevokeKey(context.Context, string, string, access.Change) error { return errPaper }

func (p *paper) Replace(context.Context, *access.Policy, access.Change, func(access.Reading, access.Delta) error) (access.Delta, error) {
	return access.Delta{}, errPaper
}

func (p *paper) Found(context.Context, *access.Policy, access.Change) (access.Revision, error) {
	return 0, errPaper
}

func (p *paper) CreateTenant(context.Context, access.Tenant, access.Change) (access.Revision, error) {
	return 0, errPaper
}

func (p *paper) View(context.Context, string, func(access.Reading) error) error { return errPaper }

func (p *paper) Account(context.Context, string, string) (access.User, error) {
	return access.User{}, errPaper
}

func (p *paper) MailsTo(context.Context, string, access.MailPurpose, []string) (map[string]access.Mail, error) {
	return nil, errPaper
}

func (p *paper) FindUsers(context.Context, string, access.UserSearch) (access.FoundUsers, error) {
	return access.FoundUsers{}, errPaper
}

func (p *paper) Edit(context.Context, string, access.Change, func(access.Draft) error, func(access.Delta) error) (access.Delta, error) {
	return access.Delta{}, errPaper
}

func (p *paper) Tenants(context.Context) ([]access.Tenant, error) {
	return []access.Tenant{{Code: p.facts.Tenant}}, nil
}

func (p *paper) Revisions(context.Context, string) ([]access.RevisionEntry, error) { return nil, nil }

func (p *paper) KeepRefusals(context.Context, []access.RefusedAttempt) error { return errPaper }

func (p *paper) ForgetRefusals(context.Context, time.Time, int) (bool, error) { return true, nil }

func (p *paper) Refusals(context.Context, string, access.RefusalSearch) ([]access.RefusedAttempt, error) {
	return nil, nil
}
