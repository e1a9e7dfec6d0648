package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// whoTurns tells of some consequences which users gain or lose what.
func whoTurns(c *api.Consequences) (all []string) {
	if c == nil {
		return nil
	}
	for _, x := range c.All {
		for _, id := range x.UserIDs {
			all = append(all, x.Turn+" "+strings.Join(x.Actions, "+")+" on "+x.Section+" at "+x.Scope+": "+id)
		}
	}
	slices.Sort(all)
	return all
}

// Req 84, 114: whatever changes what people may do tells before who gains and loses
// what, and writes nothing; what turns one state into another tells it afterwards.
func TestForetold(t *testing.T) {
	g := newGuarded(t, false) // sales-1 may show and execute orders
	before := g.revision()
	lost := []string{"lost show+execute on System.Orders at *: sales-1"}
	gained := []string{"gained execute on System.Orders.Export at *: sales-1"}
	without := textsWith(g.texts, "groups/sales.yaml", strings.Replace(g.texts["groups/sales.yaml"], "clerk, ", "", 1))
	fewer := `{"name":"Desk","sections":[{"path":"System.Orders.Export","name":"Export of orders"},{"path":"System.Chats","name":"Chats","licence":"chats"}]}`
	for name, tc := range map[string]struct {
		method, path, body, media string
		want                      []string
	}{
		"files":             {http.MethodPut, "/policy", mustJSON(t, api.Policy{Files: without, DryRun: true}), "", lost},
		"a plan":            {http.MethodPost, "/policy:plan", mustJSON(t, api.PolicyPlanAsked{Files: without}), "", lost},
		"a group":           {http.MethodPatch, "/groups/sales?dry_run=true", `{"roles":[{"role":"chatter"}]}`, "", lost},
		"a table":           {http.MethodPost, "/users:import?dry_run=true", "id,email,name,roles\nsales-1,sales-1@example.com,Sales 1,exporter\n", "text/csv", gained},
		"members":           {http.MethodPost, "/groups/north/members:import?dry_run=true", "email,name\nsales-1@example.com,Sales 1\n", "text/csv", []string{"gained execute on System.Orders.Export at region:1: sales-1"}},
		"an application":    {http.MethodPut, "/applications/desk/catalogue?dry_run=true", strings.Replace(fewer, `[{`, `[{"path":"System.Orders","name":"Orders","cascade":true},{`, 1), "", []string{"gained show+execute on System.Orders.Export at *: sales-1"}},
		"without a section": {http.MethodPut, "/applications/desk/catalogue?dry_run=true", fewer, "", append([]string{"lost insert+update+delete on System.Orders at *: root", "lost show+execute on System.Orders at *: root"}, lost...)},
		"a rollback":        {http.MethodPost, "/revisions:rollback", `{"to":"3","dry_run":true}`, "", gained},
		"a reversal":        {http.MethodPost, "/revisions/4:revert", `{"dry_run":true}`, "", gained},
		"a difference":      {http.MethodGet, "/diff?from=5&to=3&effect=true", "", "", []string{"lost show+execute on System.Orders at *: sales-1"}},
	} {
		w := g.as(actor{key: g.root}, tc.method, "/v1/tenants/shop"+tc.path, tc.body, tc.media)
		f := decode[api.Foretold](t, w)
		if got := whoTurns(f.Consequences); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q: %s", name, got, tc.want, w.Body)
		}
	}
	if d := decode[api.Difference](t, g.do(http.MethodGet, "/diff?from=2", "")); d.Consequences != nil {
		t.Errorf("nobody has asked for the effect: %+v", d.Consequences)
	}
	if g.revision() != before {
		t.Error("something was written")
	}
}

func textsWith(texts map[string]string, name, text string) map[string]string {
	all := map[string]string{name: text}
	for n, old := range texts {
		if n != name {
			all[n] = old
		}
	}
	return all
}

// A dry run of what would break a guarantee tells which, and by what way.
func TestForetold_broken(t *testing.T) {
	g := newGuarded(t, true)
	for name, tc := range map[string][3]string{
		"a rollback":     {"/revisions:rollback", `{"to":"3","dry_run":true}`},
		"a reversal":     {"/revisions/4:revert", `{"dry_run":true}`},
		"a table":        {"/users:import?dry_run=true", "id,email,name,roles\nsales-1,sales-1@example.com,Sales 1,exporter\n", "text/csv"},
		"members, moved": {"/groups/sales/members?dry_run=true", `{"members":[{"user":"export-1"}]}`},
	} {
		w := g.as(actor{key: g.root}, http.MethodPost, "/v1/tenants/shop"+tc[0], tc[1], tc[2])
		f := decode[api.Foretold](t, w)
		if len(f.Broken) == 0 || f.Broken[0].Guarantee != "sales-never-export" || f.Broken[0].Origin != "guarantees.yaml:4:5" || !strings.HasPrefix(f.Broken[0].Rule, "roles/exporter.yaml:5:") {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
	if g.revision() != 5 {
		t.Error("something was written")
	}
}

// One document lists some and says how many there are; in lines, all are told, the
// end says so, and a client takes nothing that has none.
func TestForetold_whole(t *testing.T) {
	defer func(most int) { *httpapi.MaxForetold = most }(*httpapi.MaxForetold)
	*httpapi.MaxForetold = 1
	g := newGuarded(t, false)
	files := textsWith(g.texts, "roles/clerk.yaml", "apiVersion: bailiwick/v1\nkind: Role\ncode: clerk\nname: Clerk\ngrants: [{section: System.Orders.Export, rights: [show]}]\n")
	part := g.plan(files).Consequences
	if part.Total < 2 || len(part.All) != 1 {
		t.Fatalf("%+v", part)
	}
	asked := mustJSON(t, api.PolicyPlanAsked{Files: files})
	w := g.send(http.MethodPost, "/v1/tenants/shop/policy:plan", g.root, asked, "Accept", "application/x-ndjson")
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if w.Header().Get("Content-Type") != "application/x-ndjson" || !strings.HasPrefix(lines[0], `{"progress":{"stage":"consequences"`) ||
		strings.Count(w.Body.String(), `{"consequence":{`) != part.Total || !strings.HasPrefix(lines[len(lines)-1], `{"end":{"consequences":`) {
		t.Errorf("%s", w.Body)
	}

	cut := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cut == "" {
			g.server.Handler().ServeHTTP(w, r)
			return
		}
		w.Header()["Content-Type"] = []string{"application/x-ndjson"}
		_, _ = w.Write([]byte(cut))
	}))
	defer server.Close()
	client := &api.Client{URL: server.URL, Key: g.root}
	whole, err := client.PlanPolicy(context.Background(), "shop", api.PolicyPlanAsked{Files: files}, nil)
	if err != nil || len(whole.Consequences.All) != part.Total {
		t.Errorf("%+v, %v", whole.Consequences, err)
	}
	for _, without := range []string{`{"end"`, `{"consequence"`} {
		cut = strings.Join(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, without) }), "\n") + "\n"
		if _, err := client.PlanPolicy(context.Background(), "shop", api.PolicyPlanAsked{Files: files}, nil); err == nil {
			t.Errorf("an answer without %s is taken for whole", without)
		}
	}

	cut = ""
	d, err := client.Diff(context.Background(), "shop", "5", "2", true)
	if err != nil || d.Consequences == nil || len(d.Consequences.All) != d.Consequences.Total || d.Consequences.Total == 0 {
		t.Errorf("%+v, %v", d, err)
	}
}
