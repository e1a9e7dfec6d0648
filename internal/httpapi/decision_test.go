package httpapi_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

func TestEnforce_answers(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		body   string
		want   bool
		reason string
	}{
		"a right that is held":             {`{"subject":"user:alice","section":"record","action":"read"}`, true, "granted_by"},
		"a right that is not held":         {`{"subject":"user:bob","section":"record","action":"write"}`, false, "no_grant"},
		"a scope that is held":             {`{"subject":"user:alice","section":"System.Orders","action":"show","scope":"store:eu-1"}`, true, "granted_by"},
		"everywhere is more than one":      {`{"subject":"user:alice","section":"System.Orders","action":"show"}`, false, "no_grant"},
		"several actions, all held":        {`{"subject":"user:alice","section":"System.Orders","action":["show","update"],"scope":"store:eu-1"}`, true, "granted_by"},
		"a sum of rights":                  {`{"subject":"user:alice","section":"System.Orders","action":10,"scope":"store:eu-1"}`, true, "granted_by"},
		"a sum with one too many":          {`{"subject":"user:alice","section":"System.Orders","action":26,"scope":"store:eu-1"}`, false, "no_grant"},
		"nobody in particular":             {`{"subject":"anonymous","section":"record","action":"read"}`, true, "granted_by"},
		"a user who does not exist":        {`{"subject":"user:nobody","section":"record","action":"read"}`, false, "subject_unknown"},
		"a section that does not exist":    {`{"subject":"user:alice","section":"records","action":"read"}`, false, "section_unknown"},
		"Casbin's own form":                {`{"request":["alice","*","record","read"]}`, true, "granted_by"},
		"Casbin's form with a typed name":  {`{"request":["user:alice","store:eu-1","System.Orders","10"]}`, true, "granted_by"},
		"attributes reach conditions":      {`{"subject":"user:alice","section":"record","action":"write","resource":{"type":"record","id":"1","attributes":{"status":"archived"}}}`, false, "no_grant"},
		"members nobody knows are ignored": {`{"subject":"user:alice","section":"record","action":"read","future":{"a":[1,{"b":null}]}}`, true, "granted_by"},
		"escapes in names and values":      {`{"subj\u0065ct":"user:\u0061lice","section":"record","action":"read"}`, true, "granted_by"},
	} {
		t.Run(name, func(t *testing.T) {
			w := h.ask("/v1/enforce", c.body)
			d := decode[api.Decision](t, w)
			if d.Allowed != c.want || d.Reason != c.reason {
				t.Errorf("got %s", w.Body)
			}
			if d.Tenant != "default" || d.Revision == 0 {
				t.Errorf("tenant and revision are missing: %s", w.Body)
			}
		})
	}
	if w := h.send(http.MethodPost, "/t/default/v1/enforce", h.root, `{"subject":"user:alice","section":"record","action":"read"}`); !decode[api.Decision](t, w).Allowed {
		t.Error("the path with the tenant answers differently")
	}
}

// TestAppendDecision_writesWhatMarshallingWrites holds the hand-written answer
// to the type that the API describes.
func TestAppendDecision_writesWhatMarshallingWrites(t *testing.T) {
	at := time.Date(2026, 1, 15, 12, 0, 0, 123456000, time.FixedZone("", 3600))
	for name, d := range map[string]access.Decision{
		"nothing":    {},
		"everything": {Allowed: true, Reason: "granted_by", Detail: "x", Action: "show", Revision: 7, ValidUntil: at, Rule: &access.Rule{Type: "p", Values: []string{"g:a", "*"}, Origin: access.Origin{File: "a.yaml", Line: 3, Column: 5}}},
		"no column":  {Rule: &access.Rule{Type: "g", Values: []string{"u:1"}, Origin: access.Origin{File: "a.csv", Line: 3}}},
		"no line":    {Rule: &access.Rule{Type: "p", Origin: access.Origin{File: "a.csv"}}},
		"texts":      {Detail: "\"<&>\\ \u2028 \x00 ä 😀", Rule: &access.Rule{Type: "p", Values: []string{`a"b`, "<ä>"}}},
	} {
		want, err := json.Marshal(httpapi.DecisionOf("default", &d))
		if err != nil {
			t.Fatal(err)
		}
		if got := httpapi.AppendDecision("default", &d); string(got) != string(want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// TestEnforceBatch_isEnforceOneByOne (D3), with bad questions in between.
func TestEnforceBatch_isEnforceOneByOne(t *testing.T) {
	h := newHouse(t)
	asks := []string{
		question, `{"subject":5}`, `{"subject":"user:bob","section":"record","action":"write"}`, `{}`,
		`{"subject":"user:alice","section":"record","action":"read","future":[{}]}`, `7`,
		`{"subject":"user:al\u200bice","section":"record","action":"read"}`,
	}
	got := decode[api.Decisions](t, h.ask("/v1/enforce/batch", `{"requests":[`+strings.Join(asks, ",")+`]}`)).Decisions
	if len(got) != len(asks) {
		t.Fatalf("%d answers to %d questions", len(got), len(asks))
	}
	for i, ask := range asks {
		w := h.ask("/v1/enforce", ask)
		if w.Code == 400 {
			if got[i].Allowed || got[i].Reason != "request_invalid" || got[i].Detail == "" {
				t.Errorf("%s: got %+v", ask, got[i])
			}
			continue
		}
		if one := decode[api.Decision](t, w); !reflect.DeepEqual(one, got[i]) {
			t.Errorf("%s: %+v alone, %+v among others", ask, one, got[i])
		}
	}
	if w := h.ask("/v1/enforce/batch", `{"requests":[`+question+`,{"subject":"a","subject":"b"}]}`); w.Code != 400 {
		t.Errorf("a member twice in one question: %d", w.Code)
	}
}

func TestExplain_tellsWhy(t *testing.T) {
	h := newHouse(t)
	e := decode[api.Explanation](t, h.ask("/v1/explain", question))
	if !e.Allowed || len(e.Parts) != 1 || len(e.Parts[0].Gates) != 8 || e.Rule == nil || !strings.HasPrefix(e.Rule.Origin, "groups/writers.yaml:") {
		t.Errorf("got %+v", e)
	}
}
