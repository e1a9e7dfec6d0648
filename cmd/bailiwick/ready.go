package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
	"github.com/bailiwick/bailiwick/policies"
)

// serveDev serves from a temporary folder, which is removed at the end.
func (c *cli) serveDev(ctx context.Context, s serving) (err error) {
	dir, err := os.MkdirTemp("", "bailiwick-dev-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s.config.Store.Driver, s.config.Store.DSN = store.SQLite, filepath.Join(dir, "bailiwick.db")
	if !s.config.Decisions.On() {
		s.config.Decisions.Sinks = []string{"store"}
	}
	return c.serve(ctx, s)
}

// firstSteps puts in place what a new embedded store needs to be used at all,
// and gives the text of the key that it made, if any.
func (c *cli) firstSteps(ctx context.Context, s serving, db *store.Store, h *house) (key string, err error) {
	if s.config.Store.DriverName() != store.SQLite {
		return "", nil
	}
	if s.dev {
		if err := c.loadSamples(ctx, h); err != nil {
			return "", err
		}
	}
	keys, err := db.Keys(ctx)
	if err != nil || len(keys) > 0 {
		return "", err
	}
	key, _, err = h.keys.Create(ctx, operator(), access.AllTenants, access.KeyAdmin, "operator")
	return key, err
}

func (c *cli) loadSamples(ctx context.Context, h *house) error {
	for _, tenant := range policies.Tenants() {
		c.say("loading sample tenant %s", tenant)
		files, err := policies.FS(tenant)
		if err != nil {
			return err
		}
		o := service.LoadOptions{Source: "start", Reason: "sample tenant", CreateTenant: true}
		if _, err := h.policies.Load(ctx, operator(), tenant, files, o); err != nil {
			return fmt.Errorf("sample tenant %s: %w", tenant, err)
		}
	}
	return nil
}

// devSuperuser is whom a trial can sign in as.
var devSuperuser = service.NewUser{
	ID: "superuser-1", Email: "superuser-1@example.com", Name: "First superuser", Roles: []access.Link{{To: access.SuperuserRole}},
}

// invite gives the paths of links for those who have no other way in: in a trial
// one that signs in, else for each tenant without a superuser who can sign in one
// that makes him. Nobody is given a password that others could know.
func invite(ctx context.Context, dev bool, h *house) (signIn string, superusers []superuserLink, err error) {
	if dev {
		o := access.Change{Base: access.AnyRevision, Source: "start", Reason: "somebody to try it as"}
		if _, _, err := h.directory.CreateUser(ctx, operator(), access.DefaultTenant, devSuperuser, o); err != nil {
			return "", nil, err
		}
		signIn, err = h.accounts.SignInLink(ctx, operator(), access.DefaultTenant, devSuperuser.ID)
		return signIn, nil, err
	}
	all, err := h.tenants.List(ctx, operator())
	if err != nil {
		return "", nil, err
	}
	for _, t := range all {
		path, err := h.superuserPath(ctx, t.Code)
		if err != nil {
			return "", nil, err
		}
		if path != "" {
			superusers = append(superusers, superuserLink{t.Code, path})
		}
	}
	return "", superusers, nil
}

// superuserPath gives the path of a link where a tenant wants a superuser. Those
// with a model of their own are not administered by people.
func (h *house) superuserPath(ctx context.Context, tenant string) (string, error) {
	if sight, err := h.engine.Sight(tenant); err != nil || !sight.Frame().Ours() {
		return "", nil //nolint:nilerr // it is not in force, of which others tell
	}
	wanted, err := h.accounts.WantsSuperuser(ctx, operator(), tenant)
	if err != nil || !wanted {
		return "", err
	}
	return h.accounts.SuperuserLink(ctx, operator(), tenant)
}

// ready tells whoever started the server where it is and how to go on. first is
// what was made at start, with links as paths.
func (c *cli) ready(ctx context.Context, s serving, h *house, l net.Listener, first readyAnswer) error {
	all, err := h.tenants.List(ctx, operator())
	if err != nil {
		return err
	}
	r := readyAnswer{URL: "http://" + reachable(l.Addr().String()), APIKey: first.APIKey, Tenants: []string{}}
	for _, t := range all {
		r.Tenants = append(r.Tenants, t.Code)
	}
	base := strings.TrimSuffix(cmp.Or(s.config.Server.PublicURL, r.URL), "/")
	if first.SignIn != "" {
		r.SignIn = base + first.SignIn
	}
	for _, l := range first.Superusers {
		r.Superusers = append(r.Superusers, superuserLink{l.Tenant, base + l.Link})
	}
	return c.answer(r, func(w io.Writer) { writeReady(w, r, s.dev) })
}

func writeReady(w io.Writer, r readyAnswer, dev bool) {
	fmt.Fprintf(w, "bailiwick answers at %s\n", r.URL)
	fmt.Fprintf(w, "tenants: %s\n", strings.Join(r.Tenants, ", "))
	if r.APIKey != "" {
		fmt.Fprintf(w, "operator's key, shown this once: %s\n", r.APIKey)
	}
	for _, l := range r.Superusers {
		fmt.Fprintf(w, "tenant %s has no superuser who can sign in; within a day, one is made once by\n  %s\n", l.Tenant, l.Link)
	}
	if dev {
		fmt.Fprintf(w, "sign in once, within an hour: %s\n", r.SignIn)
		writeTrial(w, r)
	}
}

// sample is a question about the tenant default whose answer is yes.
func sample() api.Request {
	return api.Request{Subject: "user:clerk-1", Action: api.Do("show"), Section: "Shop.Orders", Scope: "store:market"}
}

func writeTrial(w io.Writer, r readyAnswer) {
	q := sample()
	body, _ := json.Marshal(q) // texts only
	// The program is named as it was called, so that the lines work when pasted.
	fmt.Fprintf(w, `
Ask a question. The answer is yes:

  curl -s %[1]s/v1/enforce -H 'Authorization: Bearer %[2]s' -H 'Content-Type: application/json' -d '%[3]s'

Go on in another terminal:

  export BAILIWICK_SERVER=%[1]s BAILIWICK_API_KEY=%[2]s
  %[8]s explain %[4]s %[5]s %[6]s --scope %[7]s
  %[8]s check user:operator-1 show Calls.Queue --scope team:sales --tenant call-center
  %[8]s policy load policies/default --tenant default --reason 'my first change'

%[1]s/docs describes the API. Ctrl-C ends this trial and removes what it stored.
`, r.URL, r.APIKey, body, q.Subject, q.Action.Names[0], q.Section, q.Scope, os.Args[0])
}
