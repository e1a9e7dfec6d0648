package httpapi_test

import (
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/policies"
)

func init() {
	maps.Copy(matrix, map[string]entry{
		"POST /v1/tenants/{tenant}/policy:plan": {need: access.KeyRead, body: policyBody()},
		"GET /v1/tenants/{tenant}/guarantees":   {need: access.KeyRead},
	})
}

// textsOf gives the files of the call centre, with changes.
func textsOf(t *testing.T, change map[string]string) map[string]string {
	t.Helper()
	files, err := policies.FS("call-center")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, "tests/") {
			return err
		}
		text, err := fs.ReadFile(files, name)
		texts[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(texts, change)
	return texts
}

func (s sample) plan(texts map[string]string) api.PolicyPlan {
	s.t.Helper()
	return decode[api.PolicyPlan](s.t, s.do(http.MethodPost, "/policy:plan", mustJSON(s.t, api.PolicyPlanAsked{Files: texts})))
}

func (s sample) apply(texts map[string]string, base uint64, plan string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.do(http.MethodPut, "/policy", mustJSON(s.t, api.Policy{Files: texts, BaseRevision: base, Plan: plan, Reason: "as planned"}))
}

func turned(c *api.Consequences, turn, section string) (users []string) {
	for _, x := range c.All {
		if x.Turn == turn && x.Section == section {
			users = append(users, x.UserIDs...)
		}
	}
	return users
}

const fewerCalls = "apiVersion: bailiwick/v1\nkind: Role\ncode: call-handling\nname: Call handling\ngrants:\n  - {section: Calls.Queue, rights: [show, accept]}\n  - {section: Calls.Card, rights: [show]}\n"

// Req 84, 114: before anything is changed it is told who loses what; exactly what
// was planned is applied, and nothing where the tenant has moved on.
func TestPlan_apply(t *testing.T) {
	inSample(t, "call-center", func(t *testing.T, s sample) {
		t.Helper()
		same := s.plan(textsOf(t, nil))
		if same.Changes || len(same.Operations) != 0 || same.Consequences.Total != 0 {
			t.Errorf("nothing to do: %+v", same)
		}
		texts := textsOf(t, map[string]string{"roles/call-handling.yaml": fewerCalls})
		before := s.revision()
		plan := s.plan(texts)
		if !plan.Changes || len(plan.Operations) == 0 || plan.BaseRevision != before || plan.Consequences.UsersLosing == 0 || plan.Consequences.UsersGaining != 0 {
			t.Fatalf("%+v", plan)
		}
		losers := turned(&plan.Consequences, "lost", "Calls.Queue")
		if len(losers) == 0 || s.revision() != before {
			t.Fatalf("losers %v, revision %d after %d", losers, s.revision(), before)
		}
		scope, last, action := "", "", ""
		for _, c := range plan.Consequences.All {
			if c.Turn == "lost" && c.Section == "Calls.Queue" && len(c.UserIDs) > 0 && len(c.Before.When)+len(c.Before.Unless) == 0 {
				scope, last, action = c.Scope, c.UserIDs[0], c.Actions[0]
			}
		}
		s.want(true, "user:"+last, "Calls.Queue", action, scope)

		// Something else is changed meanwhile: the plan is refused, and says what.
		s.must(wantStatus(s.do(http.MethodPatch, "/groups/quality", `{"description":"Changed meanwhile"}`), 200))
		moved := s.wantProblem(s.apply(texts, plan.BaseRevision, plan.Plan), 409, "stale")
		if !strings.Contains(mustJSON(t, moved), "quality") {
			t.Errorf("it does not say what has changed: %+v", moved)
		}
		s.want(true, "user:"+last, "Calls.Queue", action, scope)

		// Planned again; other files than those that were planned are refused.
		plan = s.plan(texts)
		other := textsOf(t, nil)
		if w := s.apply(other, plan.BaseRevision, plan.Plan); w.Code != 400 {
			t.Errorf("other files by this plan: %d %s", w.Code, w.Body)
		}
		s.must(wantStatus(s.apply(texts, plan.BaseRevision, plan.Plan), 200))
		s.want(false, "user:"+last, "Calls.Queue", action, scope)
		if again := s.plan(texts); again.Changes {
			t.Errorf("after that there is still something to do: %+v", again.Operations)
		}
	})
}

// Req 84, 114: every change of the directory can be tried first.
func TestPlan_dryRun(t *testing.T) {
	inSample(t, "call-center", func(t *testing.T, s sample) {
		t.Helper()
		before := s.revision()
		for _, tc := range []struct{ method, path, body, section string }{
			{http.MethodDelete, "/groups/operators-support?move_to=newcomers&dry_run=true", "", "Calls.Queue"},
			{http.MethodPatch, "/groups/operators?dry_run=true", `{"roles":[]}`, "Calls.Queue"},
			{http.MethodPatch, "/roles/call-handling?dry_run=true", `{"grants":[]}`, "Calls.Queue"},
		} {
			w := s.do(tc.method, tc.path, tc.body)
			r := decode[api.Rehearsal](t, w)
			if !r.DryRun || r.BaseRevision != before || r.Consequences.UsersLosing == 0 || len(turned(r.Consequences, "lost", tc.section)) == 0 {
				t.Errorf("%s %s: %s", tc.method, tc.path, w.Body)
			}
		}
		s.wantProblem(s.do(http.MethodPatch, "/groups/nowhere?dry_run=true", `{"roles":[]}`), 404, "not_found")
		s.wantProblem(s.do(http.MethodPatch, "/groups/operators?dry_run=perhaps", `{"roles":[]}`), 400, "invalid")
		if s.revision() != before {
			t.Error("a dry run has changed something")
		}
	})
}

const noExport = `apiVersion: bailiwick/v1
kind: Guarantees
guarantees:
  - name: cards-stay
    description: Whoever is new never changes the card of a call
    rule: never
    who: ["group:newcomers"]
    rights: [{section: Calls.Card, rights: [update]}]
`

// What must be true is held against every change, from every door, whoever makes it.
func TestGuarantee_everyDoor(t *testing.T) {
	inSample(t, "call-center", func(t *testing.T, s sample) {
		t.Helper()
		texts := textsOf(t, map[string]string{"guarantees.yaml": noExport})
		s.must(wantStatus(s.apply(texts, 0, ""), 200))
		if all := decode[api.Guarantees](t, s.do(http.MethodGet, "/guarantees", "")); len(all.Guarantees) != 1 || all.Guarantees[0].Name != "cards-stay" {
			t.Errorf("%+v", all)
		}
		before := s.revision()
		refused := func(w *httptest.ResponseRecorder) {
			t.Helper()
			p := s.wantProblem(w, 409, "guarantee_broken")
			if text := mustJSON(t, p); !strings.Contains(text, "cards-stay") || !strings.Contains(text, "call-handling") {
				t.Errorf("neither guarantee nor way: %s", text)
			}
		}
		refused(s.do(http.MethodPatch, "/groups/newcomers", `{"roles":[{"role":"call-handling"}]}`))
		refused(s.do(http.MethodPatch, "/groups/newcomers", `{"roles":[{"role":"call-handling","from":"2044-01-01T00:00:00Z"}]}`))
		group := texts["groups/newcomers.yaml"] + "roles: [call-handling]\n"
		if strings.Contains(texts["groups/newcomers.yaml"], "\nroles:") {
			group = strings.Replace(texts["groups/newcomers.yaml"], "\nroles: [", "\nroles: [call-handling, ", 1)
		}
		broken := maps.Clone(texts)
		broken["groups/newcomers.yaml"] = group
		if plan := s.plan(broken); len(plan.Broken) == 0 || plan.Broken[0].Guarantee != "cards-stay" {
			t.Errorf("the plan does not tell: %+v", plan.Broken)
		}
		refused(s.apply(broken, 0, ""))
		if s.revision() != before {
			t.Error("something changed")
		}
		s.must(wantStatus(s.do(http.MethodPatch, "/groups/newcomers", `{"description":"New"}`), 200))
	})
}
