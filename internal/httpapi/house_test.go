package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
	"github.com/bailiwick/bailiwick/policies"
)

// house is the real thing: engine, SQLite file, bundles, services and door.
type house struct {
	t         testing.TB
	engine    *engine.Engine
	past      *service.Past
	refusals  *service.Refusals
	store     *store.Store
	follower  *service.Follower
	keys      *service.Keys
	authority *service.Authority
	policies  *service.Policies
	tenants   *service.Tenants
	options   httpapi.Options
	server    *httpapi.Server
	storage   store.Options
	log       *lockedBuffer
	now       func() time.Time
	key       map[access.KeyKind]string // keys of tenant default
	root      string                    // a key of kind admin for all tenants
}

// lockedBuffer takes log lines from several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var rootCaller = access.Caller{Name: "operator-1", Tenant: access.AllTenants, May: access.KeyAdmin}

// newHouse has one tenant, default, with the policy of authzenPolicy.
func newHouse(t testing.TB, change ...func(*httpapi.Options)) *house {
	t.Helper()
	return newHouseOn(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")}, change...)
}

// newHouseOn is newHouse over a database of one's own.
func newHouseOn(t testing.TB, o store.Options, change ...func(*httpapi.Options)) *house {
	t.Helper()
	h := openHouse(t, o, change...)
	h.begin(authzenPolicy)
	return h
}

// begin gives tenant default a policy and keys.
func (h *house) begin(policy fs.FS) {
	h.t.Helper()
	h.load(access.DefaultTenant, policy)
	for _, kind := range []access.KeyKind{access.KeyDecide, access.KeyRead, access.KeyAdmin} {
		h.key[kind] = h.newKey(access.DefaultTenant, kind)
	}
	h.root = h.newKey(access.AllTenants, access.KeyAdmin)
}

// never is a bound of time where a test is about something else: a slow machine
// makes no difference then.
const never = time.Hour

// openHouse is a house over a database as it is.
func openHouse(t testing.TB, o store.Options, change ...func(*httpapi.Options)) *house {
	t.Helper()
	ctx := context.Background()
	h := &house{t: t, storage: o, log: &lockedBuffer{}, key: map[access.KeyKind]string{}, now: time.Now}
	var err error
	h.store, err = store.Open(ctx, o)
	h.must(err)
	t.Cleanup(func() { _ = h.store.Close() })
	h.must(h.store.Migrate(ctx))
	t.Cleanup(h.unspoilt)
	log := slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	clock := func() time.Time { return h.now() }
	h.engine = engine.New(engine.Options{Clock: clock, Subjects: h.store})
	h.keys = service.NewKeys(h.store, service.KeysOptions{Source: "http"})
	h.follower = service.NewFollower(h.engine, h.store, h.keys, service.FollowerOptions{
		StaleAfter: never, Clock: clock, Log: log, Scans: func(tenant string) bool { return tenant == "scanned" }, Secret: h.store.Secret,
	})
	h.refusals = service.NewRefusals(h.store, service.RefusalsOptions{Clock: clock, Log: log})
	h.authority = service.NewAuthority(h.engine, h.follower, service.AuthorityOptions{Log: log, Refusals: h.refusals})
	h.refusals.Under(h.authority, h.follower)
	h.keys.Under(h.authority)
	h.tenants = service.NewTenants(h.store, h.follower, h.authority, func(name string) (access.Policy, error) {
		files, err := policies.FS(name)
		if err != nil {
			return access.Policy{}, access.Invalid("template", "%v", err)
		}
		b, err := bundle.Read(files, bundle.Options{ModelOf: engine.ModelOf})
		if err != nil {
			return access.Policy{}, err
		}
		return b.Policy, nil
	})
	h.policies = service.NewPolicies(bundles{}, h.engine, h.store, h.follower, h.authority)
	h.past = service.NewPast(h.store, func(f access.Facts) (func(time.Time) service.Answers, error) {
		e, err := engine.Alone(f, engine.Options{Subjects: h.store.Then(f.Revision)})
		return func(now time.Time) service.Answers { return e.At(now) }, err
	})
	h.options = httpapi.Options{
		History:   service.NewHistory(h.store, h.follower, h.authority, h.past, h.policies),
		Decisions: service.NewDecisions(h.engine, h.follower, h.authority), Policies: h.policies, Tenants: h.tenants,
		Directory: service.NewDirectory(h.store, h.engine, h.authority, h.follower, service.DirectoryOptions{}),
		Keys:      h.keys, Follower: h.follower, Log: log, Clock: clock, PublicURL: "https://access.example.com", Bounds: httpapi.Bounds{Answer: never},
		ConditionErrors: h.engine.ConditionErrors, Replicas: service.NewReplicas(h.store, h.follower, service.ReplicasOptions{Authority: h.authority}),
	}
	h.options.Decisions.Recall(h.past, h.options.Directory)
	h.options.Directory.Recall(h.past, h.store)
	sealer, err := service.NewSealer(strings.Repeat("s", 32), "second factor")
	h.must(err)
	h.options.Accounts = service.NewAccounts(h.store, h.options.Directory, service.AccountsOptions{Sealer: sealer, Clock: clock, Log: log})
	h.options.Refusals, h.options.Trails = h.refusals, service.NewTrails(h.store, h.authority)
	h.options.Records = service.NewRecords(h.store, h.past, h.follower, h.authority, service.RecordsOptions{})
	h.options.Reports = service.NewReports(h.options.History, h.options.Records)
	for _, c := range change {
		c(&h.options)
	}
	h.server, err = httpapi.NewServer(h.options)
	h.must(err)
	h.must(h.follower.Poll(ctx))
	return h
}

// unspoilt makes sure that nobody has changed the policies that readings share:
// they are still what the history says. A database that a test has broken tells nothing.
func (h *house) unspoilt() {
	ctx := context.Background()
	tenants, err := h.store.Tenants(ctx)
	for _, tenant := range tenants {
		var shared, told *access.Policy
		var at access.Revision
		err = errors.Join(err, h.store.View(ctx, tenant.Code, func(r access.Reading) error {
			shared, at = r.Policy(), r.Revision()
			return nil
		}))
		if err != nil || at == 0 {
			return
		}
		err = h.store.ViewAt(ctx, tenant.Code, at, func(r access.Reading) error {
			told = r.Policy()
			return nil
		})
		if err == nil && !reflect.DeepEqual(shared, told) {
			h.t.Errorf("a reader has changed the policy of tenant %s, which others read too", tenant.Code)
		}
		err = errors.Join(err, h.store.Trail(ctx, tenant.Code, func(l access.TrailLine) error {
			if l.Of != "" && !slices.Contains(access.HistoryKinds(), l.Of) {
				h.t.Errorf("a history of tenant %s cannot be asked for changes of kind %q", tenant.Code, l.Of)
			}
			return nil
		}))
	}
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) newKey(tenant string, kind access.KeyKind) string {
	h.t.Helper()
	text, _, err := h.keys.Create(context.Background(), rootCaller, tenant, kind, "test-"+string(kind))
	h.must(err)
	return text
}

func (h *house) load(tenant string, files fs.FS) {
	h.t.Helper()
	_, err := h.policies.Load(context.Background(), rootCaller, tenant, files, service.LoadOptions{CreateTenant: true, Source: "test"})
	h.must(err)
}

// send makes a request; headers come as name, value, name, value.
func (h *house) send(method, path, key, body string, headers ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	if body != "" || method == http.MethodPost || method == http.MethodPut {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	return h.sent(r, body)
}

func (h *house) sent(r *http.Request, body string) *httptest.ResponseRecorder {
	h.t.Helper()
	r.Body = io.NopCloser(strings.NewReader(body))
	w := httptest.NewRecorder()
	h.server.Handler().ServeHTTP(w, r)
	asDescribed(h.t, r, w)
	return w
}

func (h *house) ask(path, body string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.send(http.MethodPost, path, h.key[access.KeyRead], body)
}

// wantProblem checks status, code and that the document keeps the promises of
// every problem document.
func (h *house) wantProblem(w *httptest.ResponseRecorder, status int, code string) api.Problem {
	h.t.Helper()
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		h.t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Code != status || p.Code != code {
		h.t.Fatalf("got %d %s, want %d %s: %s", w.Code, p.Code, status, code, w.Body)
	}
	if p.Status != status || p.Message == "" || p.Title == "" || p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-Id") {
		h.t.Errorf("the document is not complete: %s", w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		h.t.Errorf("content type %q", got)
	}
	return p
}

func decode[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if w.Code/100 != 2 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return v
}

// bundles joins engine and bundle as the command does.
type bundles struct{}

func (bundles) Write(p *access.Policy) (map[string]string, error) { return bundle.Write(p) }

func (bundles) Read(files fs.FS) (service.Bundle, error) {
	b, err := bundle.Read(files, bundle.Options{ModelOf: engine.ModelOf})
	if err != nil {
		return service.Bundle{}, err
	}
	return service.Bundle{Policy: b.Policy, Warnings: b.Warnings, Test: func(context.Context) (service.TestReport, error) {
		report, err := bundle.RunTests(b, decider, bundle.RunOptions{})
		if err != nil {
			return service.TestReport{}, err
		}
		asked, failed := report.Count()
		return service.TestReport{Passed: asked - failed, Failed: failed, Failures: []string{"see the report"}[:min(failed, 1)]}, nil
	}}, nil
}

func decider(p *access.Policy) (bundle.Decide, error) {
	s, err := engine.Compile(p.Facts())
	if err != nil {
		return nil, err
	}
	return s.Decide, nil
}

func files(texts map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, text := range texts {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// authzenPolicy is the fixture of the AuthZEN certification scenario, with a
// section of our own beside it.
var authzenTexts = map[string]string{
	"bundle.yaml": `apiVersion: bailiwick/v1
kind: Bundle
tenant: default
anonymous: guests
scopes: [{scope: "store:eu-1", name: EU}]
`,
	"catalogue/records.yaml": `apiVersion: bailiwick/v1
kind: Application
code: records
name: Records
sections:
  - {path: record, name: Records, actions: [read, write]}
  - {path: System.Orders, name: Orders}
`,
	"groups/guests.yaml": `apiVersion: bailiwick/v1
kind: Group
code: guests
name: Guests
grants: [{section: record, rights: [read]}]
`,
	"groups/writers.yaml": `apiVersion: bailiwick/v1
kind: Group
code: writers
name: Writers
grants:
  - {section: record, rights: [read]}
  - {section: record, rights: [write], condition: '!("status" in resource) || resource.status != "archived"'}
  - {section: record, rights: [delete], condition: "action.soft == true"}
  - {section: System.Orders, rights: [show, update], scope: "store:eu-1"}
`,
	"groups/readers.yaml": `apiVersion: bailiwick/v1
kind: Group
code: readers
name: Readers
grants:
  - {section: record, rights: [read]}
  - {section: record, rights: [write], condition: '"role" in subject && subject.role == "admin" && "status" in resource && resource.status == "archived"'}
`,
	"users/all.yaml": `apiVersion: bailiwick/v1
kind: Users
users:
  - {id: alice, groups: [writers]}
  - {id: bob, groups: [readers]}
`,
	"tests/records.yaml": `apiVersion: bailiwick/v1
kind: Tests
name: Records
tests:
  - name: alice writes
    ask: [{subject: "user:alice", section: record, action: write, expect: allow}]
`,
}

var authzenPolicy = files(authzenTexts)

// unpolled gives the options of the house with a follower that knows nothing
// yet but its keys.
func unpolled(h *house) httpapi.Options {
	o := h.options
	o.Follower = service.NewFollower(h.engine, h.store, h.keys, service.FollowerOptions{StaleAfter: never})
	o.Decisions = service.NewDecisions(h.engine, o.Follower, nil)
	return o
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
