package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// Req 89, 108: what a tenant demands of accounts and groups is changed like
// anything else: by whoever may, as one revision, against what he has seen.
func TestSettings(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := staffed(t, newHouseOn(t, o))
		w := h.admin(http.MethodGet, "/settings", "")
		before, seen := decode[api.Settings](t, w), w.Header().Get("ETag")
		if before.SignIn.MinLength != access.DefaultMinLength || before.Accounts.EmailPattern != "" || before.GroupsNeedBase {
			t.Errorf("begins with %+v", before)
		}
		patch := `{"accounts":{"email_pattern":".*@example\\.com","required":["attributes.region"]},"sign_in":{"min_length":14},"reason":"by law"}`
		h.admin(http.MethodPatch, "/settings?dry_run=true", patch)
		if now := decode[api.Settings](t, h.admin(http.MethodGet, "/settings", "")); now.Revision != before.Revision {
			t.Error("a dry run has written")
		}
		after := decode[api.Settings](t, h.send(http.MethodPatch, calls+"/settings", h.root, patch, "If-Match", seen))
		if after.Revision != before.Revision+1 || after.SignIn.MinLength != 14 || !slices.Equal(after.Accounts.Required, []string{"attributes.region"}) {
			t.Errorf("became %+v", after)
		}
		h.wantProblem(h.send(http.MethodPatch, calls+"/settings", h.root, `{"groups_need_base":false}`, "If-Match", seen), 412, "precondition_failed")
		h.wantProblem(h.admin(http.MethodPatch, "/settings", `{"groups_need_base":false,"base_revision":1}`), 409, "stale")

		h.wantProblem(h.admin(http.MethodPost, "/users", `{"email":"new@example.org","name":"New","attributes":{"region":"eu"}}`), 400, "invalid")
		h.wantProblem(h.admin(http.MethodPost, "/users", `{"email":"new@example.com","name":"New"}`), 400, "invalid")
		decode[api.User](t, h.admin(http.MethodPost, "/users", `{"email":"new@example.com","name":"New","attributes":{"region":"eu"}}`))

		for body, field := range map[string]string{
			`{"accounts":{"email_pattern":"("}}`:      "accounts.email_pattern",
			`{"accounts":{"required":["name"]}}`:      "accounts.required",
			`{"accounts":{"required":"external_id"}}`: "accounts.required",
			`{"accounts":{"unique":true}}`:            "unique",
			`{"groups_need_base":"yes"}`:              "groups_need_base",
		} {
			if p := h.wantProblem(h.admin(http.MethodPatch, "/settings", body), 400, "invalid"); !strings.Contains(p.Detail+mustJSON(t, p.Details), field) {
				t.Errorf("%s: %s does not name %s", body, p.Detail, field)
			}
		}
		if p := h.wantProblem(h.admin(http.MethodPatch, "/settings", `{"groups_need_base":true}`), 409, "conflict"); !strings.Contains(p.Detail, "administrators") {
			t.Errorf("it does not say which groups lack a base: %s", p.Detail)
		}
		decode[api.Group](t, h.admin(http.MethodPatch, "/groups/administrators", `{"base":"newcomers"}`))
		decode[api.Settings](t, h.admin(http.MethodPatch, "/settings", `{"groups_need_base":true,"accounts":{"email_pattern":null,"required":null}}`))
		h.wantProblem(h.admin(http.MethodPost, "/groups", `{"code":"loose","name":"Loose"}`), 400, "invalid")
		decode[api.User](t, h.admin(http.MethodPost, "/users", `{"email":"other@example.org","name":"Other"}`))

		// What is pulled is what is in force: applying it changes nothing.
		files := decode[api.PolicyFiles](t, h.admin(http.MethodGet, "/policy", ""))
		plan := decode[api.PolicyPlan](t, h.admin(http.MethodPost, "/policy:plan", mustJSON(t, api.PolicyPlanAsked{Files: files.Files})))
		if len(plan.Operations) > 0 {
			t.Errorf("a plan of what was pulled: %+v", plan.Operations)
		}
		// A bundle that is silent about a rule takes it back, and the plan says so.
		silent := files.Files
		silent["bundle.yaml"] = "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: calls\nscopes: [{scope: \"team:a\", name: A}, {scope: \"team:b\", name: B}]\n"
		plan = decode[api.PolicyPlan](t, h.admin(http.MethodPost, "/policy:plan", mustJSON(t, api.PolicyPlanAsked{Files: silent})))
		if text := mustJSON(t, plan.Operations); !strings.Contains(text, "sign_in.min_length") || !strings.Contains(text, "need_base") {
			t.Errorf("the plan does not tell what becomes of the settings: %s", text)
		}
	})
}

// unsealed is the house as it is where nothing can be encrypted.
func unsealed(t *testing.T, h *house) *house {
	t.Helper()
	a := service.NewAuthority(h.engine, h.follower, service.AuthorityOptions{Unsealed: true})
	other := *h
	other.policies = service.NewPolicies(bundles{}, h.engine, h.store, h.follower, a)
	other.options.Policies = other.policies
	other.options.Directory = service.NewDirectory(h.store, h.engine, a, h.follower, service.DirectoryOptions{})
	other.options.History = service.NewHistory(h.store, h.follower, a, h.past, other.policies)
	var err error
	other.server, err = httpapi.NewServer(other.options)
	h.must(err)
	return &other
}

// Req 34: where nobody could set up a second factor none can be required, by
// whatever door: nobody without one could finish signing in any more.
func TestSettings_secondFactorUnsealed(t *testing.T) {
	h := staffHouse(t)
	sealed := decode[api.Settings](t, h.admin(http.MethodPatch, "/settings", `{"sign_in":{"second_factor":"required"}}`))
	decode[api.Settings](t, h.admin(http.MethodPatch, "/settings", `{"sign_in":{"second_factor":"optional"}}`))
	files := decode[api.PolicyFiles](t, h.admin(http.MethodGet, "/policy", "")).Files
	files["bundle.yaml"] += "sign_in: {second_factor: required}\n"
	if strings.Count(files["bundle.yaml"], "sign_in:") > 1 {
		files["bundle.yaml"] = strings.Replace(files["bundle.yaml"], "second_factor: optional", "second_factor: required", 1)
		files["bundle.yaml"] = strings.TrimSuffix(files["bundle.yaml"], "sign_in: {second_factor: required}\n")
	}
	h = unsealed(t, h)
	before := h.footprint()
	for _, s := range []step{
		{"PATCH", "/settings", `{"sign_in":{"second_factor":"required"}}`},
		{"PATCH", "/settings?dry_run=true", `{"sign_in":{"second_factor":"required"}}`},
		{"PUT", "/policy", mustJSON(t, map[string]any{"files": files})},
		{"PUT", "/policy", mustJSON(t, map[string]any{"files": files, "dry_run": true})},
		{"POST", "/policy:plan", mustJSON(t, api.PolicyPlanAsked{Files: files})},
		{"POST", "/revisions:rollback", mustJSON(t, map[string]any{"to": sealed.Revision, "reason": "a test"})},
		{"POST", "/revisions:rollback", mustJSON(t, map[string]any{"to": sealed.Revision, "reason": "a test", "dry_run": true})},
	} {
		p := h.wantProblem(h.admin(s.method, s.path, s.body), 400, "invalid")
		if !strings.Contains(p.Detail, "server.secret") {
			t.Errorf("%s %s does not say what to do: %s", s.method, s.path, p.Detail)
		}
	}
	for table, sum := range h.footprint() {
		if before[table] != sum {
			t.Errorf("the table %s has changed", table)
		}
	}
	decode[api.Settings](t, h.admin(http.MethodPatch, "/settings", `{"sign_in":{"min_length":13}}`))
}
