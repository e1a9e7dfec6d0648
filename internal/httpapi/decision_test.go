package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/bailiwick/bailiwick/api"
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
