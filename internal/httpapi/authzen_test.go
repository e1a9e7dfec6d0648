package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

const (
	one  = "/access/v1/evaluation"
	many = "/access/v1/evaluations"

	alice = `"subject":{"type":"user","id":"alice"}`
	bob   = `"subject":{"type":"user","id":"bob"}`
	read  = `"action":{"name":"read"}`
	write = `"action":{"name":"write"}`
	rec1  = `"resource":{"type":"record","id":"record-1"}`
	rec2  = `"resource":{"type":"record","id":"record-2"}`
	arch  = `"resource":{"type":"record","id":"record-2","properties":{"status":"archived"}}`
	admin = `"subject":{"type":"user","id":"bob","properties":{"role":"admin"}}`
)

func body(parts ...string) string { return "{" + strings.Join(parts, ",") + "}" }

// TestAuthZEN_certificationScenario goes through the certification scenario of
// OpenID AuthZEN 1.0, levels Basic and Batch; the names are its sections.
func TestAuthZEN_certificationScenario(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		name, path, body string
		want             []bool // nil: 400
	}{
		{"2.2.1 permit", one, body(alice, read, rec1), []bool{true}},
		{"2.2.2 deny", one, body(bob, write, rec1), []bool{false}},
		{"rule 2", one, body(alice, write, rec1), []bool{true}},
		{"rule 3", one, body(bob, read, rec1), []bool{true}},
		{"2.2.3 context", one, body(alice, read, rec1, `"context":{"time":"2025-06-27T18:03-07:00","ip":"192.168.1.1"}`), []bool{true}},
		{"2.2.4 resource properties deny", one, body(alice, write, arch), []bool{false}},
		{"2.2.5 subject properties permit", one, body(admin, write, arch), []bool{true}},
		{"2.2.6 action properties permit", one, body(alice, `"action":{"name":"delete","properties":{"soft":true}}`, rec1), []bool{true}},
		{"2.2.7 action properties deny", one, body(alice, `"action":{"name":"delete","properties":{"soft":false}}`, rec1), []bool{false}},
		{"2.2.8 further properties", one, body(`"subject":{"type":"user","id":"alice","properties":{"department":"Sales","role":"manager"}}`,
			`"action":{"name":"read","properties":{"method":"GET"}}`,
			`"resource":{"type":"record","id":"record-1","properties":{"status":"active","owner":"bob"}}`), []bool{true}},
		{"2.2.9 unknown fields", one, body(alice, read, rec1, `"foo":"bar","futureField":{"nested":true}`), []bool{true}},
		{"2.4.1 no subject", one, body(read, rec1), nil},
		{"2.4.1 no action", one, body(alice, rec1), nil},
		{"2.4.1 no resource", one, body(alice, read), nil},
		{"2.4.2 subject without type", one, body(`"subject":{"id":"alice"}`, read, rec1), nil},
		{"2.4.2 subject without id", one, body(`"subject":{"type":"user"}`, read, rec1), nil},
		{"2.4.2 action without name", one, body(alice, `"action":{}`, rec1), nil},
		{"2.4.2 resource without type", one, body(alice, read, `"resource":{"id":"record-1"}`), nil},
		{"2.4.2 resource without id", one, body(alice, read, `"resource":{"type":"record"}`), nil},
		{"2.4.4 malformed", one, `{"subject":`, nil},
		{"2.4.5 empty", one, ``, nil},
		{"2.4.6 subject is a string", one, body(`"subject":"alice"`, read, rec1), nil},
		{"2.4.6 name is a number", one, body(alice, `"action":{"name":123}`, rec1), nil},
		{"properties are not an object", one, body(alice, `"action":{"name":"read","properties":[]}`, rec1), nil},
		{"context is not an object", one, body(alice, read, rec1, `"context":"x"`), nil},

		{"3.2.1 a list", many, body(alice, read, `"evaluations":[{`+rec1+`},{`+rec2+`}]`), []bool{true, true}},
		{"3.2.2 order", many, body(bob, rec1, `"evaluations":[{`+read+`},{`+write+`}]`), []bool{true, false}},
		{"3.2.3 properties of items", many, body(alice, write,
			`"evaluations":[{"resource":{"type":"record","id":"record-1","properties":{"status":"active"}}},{`+arch+`}]`), []bool{true, false}},
		{"3.2.4 subjects of items", many, body(write, arch, `"evaluations":[{`+alice+`},{`+admin+`}]`), []bool{false, true}},
		{"3.2.5 no defaults", many, body(`"evaluations":[` + body(alice, read, rec1) + `,` + body(bob, write, rec1) + `]`), []bool{true, false}},
		{"3.2.6 context of items", many, body(alice, read, `"context":{"time":"2025-06-27T18:03-07:00"}`,
			`"evaluations":[{`+rec1+`},{`+rec2+`,"context":{"source":"batch-override"}}]`), []bool{true, true}},
		{"3.2.7 defaults as wholes", many, body(alice, write, `"resource":{"type":"record","id":"record-1","properties":{"status":"active"}}`,
			`"evaluations":[{},{`+arch+`}]`), []bool{true, false}},
		{"a default is not merged into what an item says", many, body(alice, write, arch, `"evaluations":[{`+rec1+`}]`), []bool{true}},
		{"3.4.1 an item without resource", many, body(alice, read, `"options":{"evaluations_semantic":"execute_all"}`,
			`"evaluations":[{`+rec1+`},{}]`), []bool{true, false}},
		{"an item of the wrong shape", many, body(alice, read, `"evaluations":[{"resource":5},{`+rec1+`},7,{"resource":{"type":"record","id":null}}]`), []bool{false, true, false, false}},
		{"3.4.2 no list", many, body(alice, read, rec1), []bool{true}},
		{"3.4.3 an empty list", many, body(alice, read, rec1, `"evaluations":[]`), []bool{true}},
		{"an empty list of nothing", many, `{"evaluations":[]}`, nil},
		{"a default of the wrong shape", many, body(`"subject":"alice"`, read, `"evaluations":[{`+rec1+`}]`), nil},
		{"a list that is none", many, body(alice, read, rec1, `"evaluations":{}`), nil},
		{"a semantic that does not exist", many, body(alice, read, `"options":{"evaluations_semantic":"any"}`, `"evaluations":[{`+rec1+`}]`), nil},
		{"options nobody knows", many, body(alice, read, `"options":{"another_option":"value"}`, `"evaluations":[{`+rec1+`}]`), []bool{true}},
		{"deny on first deny", many, body(alice, read, `"options":{"evaluations_semantic":"deny_on_first_deny"}`,
			`"evaluations":[{`+rec1+`},{`+write+`,`+arch+`},{`+rec1+`}]`), []bool{true, false}},
		{"deny on first failure", many, body(alice, read, `"options":{"evaluations_semantic":"deny_on_first_deny"}`,
			`"evaluations":[{},{`+rec1+`}]`), []bool{false}},
		{"permit on first permit", many, body(alice, `"options":{"evaluations_semantic":"permit_on_first_permit"}`,
			`"evaluations":[{`+write+`,`+arch+`},{`+read+`,`+rec1+`},{`+read+`,`+rec1+`}]`), []bool{false, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := h.ask(c.path, c.body)
			if c.want == nil {
				if w.Code != http.StatusBadRequest {
					t.Fatalf("got %d %s", w.Code, w.Body)
				}
				return
			}
			if got := verdicts(t, w.Body.Bytes()); w.Code != 200 || !slices.Equal(got, c.want) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if w.Header().Get("Content-Type") != "application/json" {
				t.Error("the content type is not application/json")
			}
		})
	}
	t.Run("2.6 idempotency", func(t *testing.T) {
		for range 5 {
			if got := verdicts(t, h.ask(one, body(alice, read, rec1)).Body.Bytes()); !got[0] {
				t.Fatal("the answer changed")
			}
		}
	})
	t.Run("2.4.3 content type", func(t *testing.T) {
		for _, kind := range []string{"text/plain", "", "application/x-www-form-urlencoded"} {
			w := h.send(http.MethodPost, one, h.key[access.KeyDecide], body(alice, read, rec1), "Content-Type", kind)
			h.wantProblem(w, 400, "invalid")
		}
	})
	t.Run("2.5 X-Request-ID", func(t *testing.T) {
		w := h.send(http.MethodPost, one, h.key[access.KeyDecide], body(alice, read, rec1), "X-Request-ID", "bfe9eb29-ab87")
		if w.Header().Get("X-Request-ID") != "bfe9eb29-ab87" {
			t.Error("the id is not echoed")
		}
	})
}

// verdicts reads one answer or a list of them, and checks their form.
func verdicts(t *testing.T, text []byte) []bool {
	t.Helper()
	type answer struct {
		Decision *bool
		Context  map[string]any
	}
	var w struct {
		answer
		Evaluations []answer
	}
	if err := json.Unmarshal(text, &w); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	all := w.Evaluations
	if w.Decision != nil {
		all = append(all, w.answer)
	}
	var got []bool
	for _, a := range all {
		if a.Decision == nil || a.Context["reason"] == "" {
			t.Fatalf("incomplete: %s", text)
		}
		got = append(got, *a.Decision)
	}
	return got
}

// TestAuthZEN_mapping holds what docs/authzen.md says.
func TestAuthZEN_mapping(t *testing.T) {
	h := newHouse(t)
	orders := func(properties, context string) string {
		return body(alice, `"action":{"name":"show"}`, `"resource":{"type":"System.Orders","id":"17","properties":`+properties+`}`, `"context":`+context)
	}
	for name, c := range map[string]struct {
		body, reason string
		status       int
	}{
		"scope is a property of the resource": {orders(`{"scope":"store:eu-1"}`, `{}`), "granted_by", 200},
		"or stands in the context":            {orders(`{}`, `{"scope":"store:eu-1"}`), "granted_by", 200},
		"twice the same":                      {orders(`{"scope":"store:eu-1"}`, `{"scope":"store:eu-1"}`), "granted_by", 200},
		"everywhere without":                  {orders(`{}`, `{}`), "no_grant", 200},
		"two scopes":                          {orders(`{"scope":"store:eu-1"}`, `{"scope":"*"}`), "", 400},
		"Scope":                               {orders(`{"Scope":"store:eu-1"}`, `{}`), "", 400},
		"ſcope in the context":                {orders(`{}`, `{"ſcope":"store:eu-1"}`), "", 400},
		"a scope that is no string":           {orders(`{"scope":7}`, `{}`), "", 400},
		"a blank scope":                       {orders(`{"scope":""}`, `{}`), "", 400},
		"a scope nobody knows":                {orders(`{"scope":"store:us-1"}`, `{}`), "scope_unknown", 200},
		"anonymous":                           {body(`"subject":{"type":"anonymous","id":"-"}`, read, rec1), "granted_by", 200},
		"user anonymous is nobody":            {body(`"subject":{"type":"user","id":"anonymous"}`, read, rec1), "request_invalid", 200},
		"an application":                      {body(`"subject":{"type":"app","id":"records"}`, read, rec1), "no_grant", 200},
		"an application, spelt out":           {body(`"subject":{"type":"application","id":"records"}`, read, rec1), "no_grant", 200},
		"a subject of another kind":           {body(`"subject":{"type":"spaceship","id":"1"}`, read, rec1), "request_invalid", 200},
		"an action that could not exist":      {body(alice, `"action":{"name":"GET"}`, rec1), "request_invalid", 200},
		"a section that could not exist":      {body(alice, read, `"resource":{"type":"/todos","id":"1"}`), "request_invalid", 200},
		"a section that does not exist":       {body(alice, read, `"resource":{"type":"spaceship","id":"1"}`), "section_unknown", 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := h.ask(one, c.body)
			if w.Code != c.status {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if c.status == 200 && decode[api.EvaluationAnswer](t, w).Context.Reason != c.reason {
				t.Errorf("got %s", w.Body)
			}
		})
	}
}

// TestAuthZEN_configuration shows that the addresses come from the
// configuration, whatever a request says (CVE class: Host header).
func TestAuthZEN_configuration(t *testing.T) {
	h := newHouse(t)
	for path, base := range map[string]string{
		"/.well-known/authzen-configuration":           "https://access.example.com",
		"/.well-known/authzen-configuration/t/default": "https://access.example.com/t/default",
		"/t/default/.well-known/authzen-configuration": "https://access.example.com/t/default",
	} {
		w := h.send(http.MethodGet, path, "", "", "Host", "evil.example", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http")
		got := decode[map[string]string](t, w)
		want := map[string]string{
			"policy_decision_point": base, "access_evaluation_endpoint": base + one, "access_evaluations_endpoint": base + many,
			"search_subject_endpoint": base + "/access/v1/search/subject", "search_action_endpoint": base + "/access/v1/search/action",
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v", path, got)
		}
		for _, endpoint := range []string{
			"access_evaluation_endpoint", "access_evaluations_endpoint", "search_subject_endpoint", "search_action_endpoint",
		} {
			path := strings.TrimPrefix(got[endpoint], "https://access.example.com")
			if w := h.send(http.MethodPost, path, h.root, body(alice, read, rec1)); w.Code != 200 {
				t.Errorf("%s is advertised and answers %d", path, w.Code)
			}
		}
	}
	h.wantProblem(h.send(http.MethodGet, "/.well-known/authzen-configuration/t/No!", "", ""), 404, "path_unknown")
}
