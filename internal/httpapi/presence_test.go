package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// Req 33: what somebody says of himself survives his signing out, is seen and
// filtered in lists, and changes neither a decision nor the policy: of all tables
// only its own is written.
func TestPresence(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		b := s.member(t, "sales-1")
		said := func() api.Presence {
			return *decode[api.User](t, s.admin(http.MethodGet, "/users/sales-1", "")).Presence
		}
		if p := said(); p.Status != "available" || !p.Online || !p.Since.IsZero() {
			t.Errorf("begins as %+v", p)
		}
		may := func() string {
			return s.send(http.MethodPost, "/t/people/v1/enforce", s.root, `{"subject":"user:sales-1","section":"System.Access.Users","action":"show"}`).Body.String()
		}
		decision, before := may(), s.footprint()
		capabilities := s.admin(http.MethodGet, "/users/sales-1/capabilities", "").Header().Get("ETag")
		var own api.Presence
		b.send(http.MethodPut, "/v1/session/presence", `{"status":"break","note":"back at noon"}`).want(200, "").into(&own)
		if own.Status != "break" || own.Note != "back at noon" || own.Since.IsZero() || !own.Online {
			t.Errorf("he is told %+v", own)
		}
		for table, sum := range s.footprint() {
			if (before[table] != sum) != (table == "presence") {
				t.Errorf("the table %s has changed, or has not", table)
			}
		}
		if may() != decision || capabilities != s.admin(http.MethodGet, "/users/sales-1/capabilities", "").Header().Get("ETag") {
			t.Error("a decision has changed")
		}
		for body, field := range map[string]string{
			`{"status":"asleep"}`: "status", `{"note":"only this"}`: "status", `{"status":"busy","since":"now"}`: "since",
			`{"status":"busy","note":"` + strings.Repeat("x", 101) + `"}`: "note", `{"status":"busy","note":"a\u0000b"}`: "note",
		} {
			if a := b.send(http.MethodPut, "/v1/session/presence", body).want(400, "invalid"); !strings.Contains(string(a.body), field) {
				t.Errorf("%s: %s", body, a.body)
			}
		}
		b.send(http.MethodPost, "/v1/sign-out", "").want(204, "")
		if p := said(); p.Status != "break" || p.Note != "back at noon" || p.Online {
			t.Errorf("after signing out he is %+v", p)
		}
		other := s.member(t, "operator-1")
		other.send(http.MethodPut, "/v1/session/presence", `{"status":"busy"}`).want(200, "")
		other.send(http.MethodPut, "/v1/session/presence", `{"status":"available"}`).want(200, "")
		for query, want := range map[string][]string{
			"presence=break": {"sales-1"}, "presence=busy": nil, "presence=available": {"boss-1", "operator-1", "pattern-1"}, "presence=available&online=true": {"operator-1"},
		} {
			var ids []string
			for _, u := range decode[api.Users](t, s.admin(http.MethodGet, "/users?sort=id&"+query, "")).Users {
				ids = append(ids, u.ID)
				if u.Presence != nil && "presence="+u.Presence.Status != strings.TrimSuffix(query, "&online=true") || u.Presence == nil && u.ID == "sales-1" {
					t.Errorf("%s is shown as %+v", u.ID, u.Presence)
				}
			}
			if !slices.Equal(ids, want) {
				t.Errorf("%s: %v", query, ids)
			}
		}
		s.wantProblem(s.admin(http.MethodGet, "/users?presence=busy&as_of=1", ""), 400, "invalid")
		if then := decode[api.Users](t, s.admin(http.MethodGet, "/users?as_of=2", "")); len(then.Users) == 0 || then.Users[0].Presence != nil {
			t.Errorf("then: %+v", then.Users)
		}
	})
}
