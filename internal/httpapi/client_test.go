package httpapi_test

import (
	"errors"
	"net/url"
	"slices"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// TestClient_wholeAPI goes through the API with the client that we deliver.
func TestClient_wholeAPI(t *testing.T) {
	h := newHouse(t)
	address, _ := h.start()
	ctx := t.Context()
	root := &api.Client{URL: "http://" + address + "/", Key: h.root}

	loaded, err := root.LoadPolicy(ctx, "crm", api.Policy{Files: authzenTexts, Reason: "first", CreateTenant: true})
	h.must(err)
	if !loaded.Changed || loaded.Revision == 0 || loaded.Tests.Passed != 1 {
		t.Errorf("loaded: %+v", loaded)
	}
	again, err := root.LoadPolicy(ctx, "crm", api.Policy{Files: authzenTexts, BaseRevision: loaded.Revision})
	h.must(err)
	if again.Changed || again.Revision != loaded.Revision {
		t.Errorf("the same policy is a change: %+v", again)
	}
	made, err := root.CreateKey(ctx, "crm", api.NewKey{Kind: "read", Name: "crm"})
	h.must(err)

	crm := &api.Client{URL: "http://" + address, Key: made.Text, Tenant: "crm"}
	ask := api.Request{Subject: "user:alice", Action: api.Do("show", "update"), Section: "System.Orders", Scope: "store:eu-1"}
	d, err := crm.Check(ctx, ask)
	h.must(err)
	all, err := crm.CheckAll(ctx, []api.Request{ask, {Subject: "user:bob", Action: api.Actions{Sum: 2}, Section: "System.Orders"}})
	h.must(err)
	why, err := crm.Explain(ctx, ask)
	h.must(err)
	if !d.Allowed || !all[0].Allowed || all[1].Allowed || len(why.Parts) != 2 || d.Tenant != "crm" {
		t.Errorf("got %+v, %+v, %+v", d, all, why)
	}
	tenants, err := crm.Tenants(ctx)
	h.must(err)
	if len(tenants) != 1 || tenants[0].Code != "crm" {
		t.Errorf("a key of one tenant sees %+v", tenants)
	}
	history, err := crm.Revisions(ctx, "crm", url.Values{"source": {"http"}, "operations": {"true"}})
	h.must(err)
	if all := history.Revisions; len(all) == 0 || !slices.ContainsFunc(all, func(r api.Revision) bool {
		return r.Reason == "first" && r.Author == "key:test-admin" && len(r.Operations) > 0
	}) {
		t.Errorf("history: %+v", history)
	}
	ready, err := crm.Ready(ctx)
	h.must(err)
	if ready.Status != "ok" {
		t.Errorf("ready: %+v", ready)
	}
	h.must(root.RevokeKey(ctx, "crm", made.ID, "left"))
	keys, err := root.Keys(ctx, "crm")
	h.must(err)
	if len(keys) != 1 || keys[0].Revoked.IsZero() {
		t.Errorf("keys: %+v", keys)
	}
	var problem *api.Problem
	if _, err := crm.Check(ctx, ask); !errors.As(err, &problem) || problem.Code != "unauthenticated" {
		t.Errorf("a revoked key: %v", err)
	}
	if _, err := root.CreateTenant(ctx, api.Tenant{Code: "shop", Revision: 5}); err != nil {
		t.Error(err)
	}
	_, err = root.LoadPolicy(ctx, "crm", api.Policy{Files: map[string]string{"bundle.yaml": "kind: Bundle\ntenant: crm\ncolour: blue\n"}})
	if !errors.As(err, &problem) || problem.Code != "policy_invalid" || problem.Details[0].Origin == "" {
		t.Errorf("a policy with a mistake: %v", err)
	}
}

// TestLoadPolicy_aFailureChangesNothing: whatever is wrong, the last good
// revision stays in force.
func TestLoadPolicy_aFailureChangesNothing(t *testing.T) {
	h := newHouse(t)
	before := decode[api.Decision](t, h.ask("/v1/enforce", question))
	with := func(name, text string) string {
		texts := map[string]string{}
		for n, x := range authzenTexts {
			texts[n] = x
		}
		texts[name] = text
		return mustJSON(t, api.Policy{Files: texts})
	}
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"a typing mistake":     {with("groups/writers.yaml", "apiVersion: bailiwick/v1\nkind: Group\ncode: writers\nnme: Writers\n"), 422, "policy_invalid"},
		"a condition":          {with("groups/writers.yaml", "apiVersion: bailiwick/v1\nkind: Group\ncode: writers\nname: W\ngrants: [{section: record, rights: [read], condition: '1 +'}]\n"), 422, "policy_invalid"},
		"a broken expectation": {with("tests/records.yaml", "apiVersion: bailiwick/v1\nkind: Tests\nname: R\ntests:\n  - name: x\n    ask: [{subject: 'user:bob', section: record, action: write, expect: allow}]\n"), 422, "tests_failed"},
		"a dry run":            {policyBody(`"dry_run":true`), 200, ""},
	} {
		w := h.send("PUT", "/v1/tenants/default/policy", h.key[access.KeyAdmin], c.body)
		if c.code != "" {
			h.wantProblem(w, c.status, c.code)
		} else if w.Code != c.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if now := decode[api.Decision](t, h.ask("/v1/enforce", question)); now.Revision != before.Revision || !now.Allowed {
			t.Errorf("%s: %+v became %+v", name, before, now)
		}
	}
}
