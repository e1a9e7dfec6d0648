package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

const (
	querySubject = "/access/v1/search/subject"
	queryAction  = "/access/v1/search/action"

	anyUser = `"subject":{"type":"user"}`
)

// TestSearch_native: the three searches, with what conditions see passed on.
func TestSearch_native(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct{ path, body, want string }{
		"actions":                   {"actions", `{"subject":"user:alice","section":"record"}`, `{"actions":["read","write"]`},
		"actions are not looked at": {"actions", `{"subject":"user:alice","section":"record","action":["nonsense",5]}`, `{"actions":["read","write"]`},
		"resource":                  {"actions", `{"subject":"user:alice","section":"record","resource":{"attributes":{"status":"archived"}}}`, `{"actions":["read"]`},
		"action attributes":         {"actions", `{"subject":"user:alice","section":"record","action_attributes":{"soft":true}}`, `{"actions":["delete","read","write"]`},
		"subject attributes":        {"actions", `{"subject":"user:bob","section":"record","subject_attributes":{"role":"admin"},"resource":{"attributes":{"status":"archived"}}}`, `{"actions":["read","write"]`},
		"scope":                     {"actions", `{"subject":"user:alice","section":"System.Orders","scope":"store:eu-1"}`, `{"actions":["show","update"]`},
		"everywhere":                {"actions", `{"subject":"user:alice","section":"System.Orders"}`, `{"actions":[]`},
		"unknown subject":           {"actions", `{"subject":"user:carol","section":"record"}`, `{"actions":[]`},
		"menu": {
			"sections", `{"subject":"user:alice","scope":"store:eu-1"}`,
			`{"sections":[{"section":"System.Orders","actions":["show","update"]},{"section":"record","actions":["read","write"]}]`,
		},
		"sections by action":       {"sections", `{"subject":"user:alice","scope":"store:eu-1","action":"show"}`, `{"sections":[{"section":"System.Orders","actions":["show"]}]`},
		"sections by actions":      {"sections", `{"subject":"user:alice","scope":"store:eu-1","action":["show","delete"]}`, `{"sections":[]`},
		"sections by a sum":        {"sections", `{"subject":"user:alice","scope":"store:eu-1","action":10}`, `{"sections":[{"section":"System.Orders","actions":["show","update"]}]`},
		"subjects":                 {"subjects", `{"action":"read","section":"record"}`, `{"subjects":["anonymous","user:alice","user:bob"]`},
		"subject is not looked at": {"subjects", `{"action":"read","section":"record","subject":7}`, `{"subjects":["anonymous","user:alice","user:bob"]`},
		"type":                     {"subjects", `{"action":"read","section":"record","type":"user"}`, `{"subjects":["user:alice","user:bob"]`},
		"several actions":          {"subjects", `{"action":["read","write"],"section":"record"}`, `{"subjects":["user:alice"]`},
		"nobody":                   {"subjects", `{"action":"execute","section":"record"}`, `{"subjects":[]`},
	} {
		t.Run(name, func(t *testing.T) {
			w := h.ask("/v1/search/"+c.path, c.body)
			if got := w.Body.String(); w.Code != 200 || !strings.HasPrefix(got, c.want) {
				t.Errorf("%d %s, want %s", w.Code, got, c.want)
			}
			if !strings.HasSuffix(w.Body.String(), `,"tenant":"default","revision":2}`) {
				t.Errorf("of which state? %s", w.Body)
			}
		})
	}
}

// TestSearch_refuses names the member that is wrong.
func TestSearch_refuses(t *testing.T) {
	h := newHouse(t)
	for body, field := range map[string]string{
		`actions {"section":"record"}`:                        "subject",
		`actions {"subject":"user:alice"}`:                    "section",
		`actions {"subject":"alice","section":"record"}`:      "subject",
		`actions {"subject":"user:alice","section":"Record"}`: "section", // a misspelt one: nobody declares it
		`subjects {"action":"read","section":"Record"}`:       "section",
		`sections {}`: "subject",
		`sections {"subject":"user:alice","action":[]}`:                     "action",
		`sections {"subject":"user:alice","action":0}`:                      "action",
		`sections {"subject":"user:alice","scope":"store"}`:                 "scope",
		`subjects {"section":"record"}`:                                     "action",
		`subjects {"action":"read"}`:                                        "section",
		`subjects {"action":"read","section":"record","type":"group"}`:      "type",
		`subjects {"action":"read","section":"record","page_size":0}`:       "page_size",
		`subjects {"action":"read","section":"record","page_size":1001}`:    "page_size",
		`subjects {"action":"read","section":"record","page_size":"5"}`:     "page_size",
		`subjects {"action":"read","section":"record","page_token":"AAAA"}`: "page_token",
		`subjects {"request":["alice","*","record","read"]}`:                "action",
	} {
		path, text, _ := strings.Cut(body, " ")
		p := h.wantProblem(h.ask("/v1/search/"+path, text), 400, "invalid")
		if len(p.Details) != 1 || p.Details[0].Field != field {
			t.Errorf("%s: %+v, want %s", body, p.Details, field)
		}
	}
	h.wantProblem(h.ask("/v1/search/subjects", `{"action":"read","section":"record","Page_Size":5}`), 400, "json_invalid")
}

// crowd is a policy with 40 users who may read records.
func crowd() map[string]string {
	texts := map[string]string{}
	for name, text := range authzenTexts {
		texts[name] = text
	}
	var users []string
	for i := range 40 {
		users = append(users, fmt.Sprintf("  - {id: u-%02d, groups: [readers]}\n", i))
	}
	texts["users/crowd.yaml"] = "apiVersion: bailiwick/v1\nkind: Users\nusers:\n" + strings.Join(users, "")
	return texts
}

// TestSearchSubjects_pages: pages of any size make the same whole, over both
// doors, and a change of the policy ends it with 409.
func TestSearchSubjects_pages(t *testing.T) {
	h := newHouse(t)
	h.load("default", files(crowd()))
	native := func(size int, token string) (ids []string, next string) {
		w := decode[api.FoundSubjects](t, h.ask("/v1/search/subjects",
			fmt.Sprintf(`{"action":"read","section":"record","type":"user","page_size":%d,"page_token":%q}`, size, token)))
		for _, s := range w.Subjects {
			ids = append(ids, strings.TrimPrefix(s, "user:"))
		}
		return ids, w.NextPageToken
	}
	authzen := func(size int, token string) (ids []string, next string) {
		text := h.ask(querySubject, body(anyUser, read, rec1, fmt.Sprintf(`"page":{"limit":%d,"token":%q}`, size, token)))
		w := decode[api.SubjectResults](t, text)
		if !strings.Contains(text.Body.String(), `"next_token":`) {
			t.Errorf("next_token is missing: %s", text.Body)
		}
		for _, s := range w.Results {
			ids = append(ids, s.ID)
		}
		return ids, w.Page.NextToken
	}
	var whole []string
	for name, page := range map[string]func(int, string) ([]string, string){"native": native, "authzen": authzen} {
		for _, size := range []int{1, 5, 16, 21, 42, 100} {
			var all []string
			for token, first := "", true; first || token != ""; first = false {
				var ids []string
				ids, token = page(size, token)
				if len(ids) > size || token != "" && len(ids) != size {
					t.Fatalf("%s: %d on a page of %d", name, len(ids), size)
				}
				all = append(all, ids...)
			}
			if whole == nil {
				whole = all
			}
			if len(all) != 42 || !slices.IsSorted(all) || !slices.Equal(all, whole) {
				t.Errorf("%s in pages of %d: %v", name, size, all)
			}
		}
	}
	_, token := native(5, "")
	changed := crowd()
	changed["groups/readers.yaml"] = strings.Replace(changed["groups/readers.yaml"], "Readers", "Those who read", 1) +
		"  - {section: System.Orders, rights: [show]}\n"
	h.load("default", files(changed))
	p := h.wantProblem(h.ask("/v1/search/subjects", fmt.Sprintf(`{"action":"read","section":"record","type":"user","page_token":%q}`, token)), 409, "stale")
	if p.Details[0].Field != "page_token" {
		t.Errorf("got %+v", p)
	}
}

// TestSearch_unfinished: what could not be finished in time, or is asked of
// facts that may be stale, is no answer at all.
func TestSearch_unfinished(t *testing.T) {
	h := newHouse(t)
	all := map[string]string{
		"/v1/search/sections": `{"subject":"user:alice"}`, "/v1/search/subjects": `{"action":"read","section":"record"}`,
		"/v1/search/actions": `{"subject":"user:alice","section":"record"}`, querySubject: body(anyUser, read, rec1), queryAction: body(alice, rec1),
	}
	for path, text := range all {
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+h.root)
		w := httptest.NewRecorder()
		h.server.Handler().ServeHTTP(w, r)
		h.wantProblem(w, 503, "unavailable")
	}
	h.now = func() time.Time { return time.Now().Add(2 * never) } // the follower is not fresh any more
	for path, text := range all {
		h.wantProblem(h.ask(path, text), 503, "unavailable")
	}
}

// TestAuthZEN_search goes through the searches of the certification scenario.
func TestAuthZEN_search(t *testing.T) {
	h := newHouse(t)
	results := func(ids ...string) string {
		parts := make([]string, len(ids))
		for i, id := range ids {
			parts[i] = id
			if kind, id, ok := strings.Cut(id, ":"); ok {
				parts[i] = fmt.Sprintf(`{"type":%q,"id":%q}`, kind, id)
			} else {
				parts[i] = fmt.Sprintf(`{"name":%q}`, kind)
			}
		}
		return `{"results":[` + strings.Join(parts, ",") + `],"page":{"next_token":""}}`
	}
	for name, c := range map[string]struct{ path, body, want string }{
		"subjects":                         {querySubject, body(anyUser, read, rec1), results("user:alice", "user:bob")},
		"an id given is not looked at":     {querySubject, body(bob, write, rec1), results("user:alice")},
		"properties of the resource":       {querySubject, body(anyUser, write, arch), results()},
		"properties of the subject":        {querySubject, body(`"subject":{"type":"user","properties":{"role":"admin"}}`, write, arch), results("user:bob")},
		"properties of the action":         {querySubject, body(anyUser, `"action":{"name":"delete","properties":{"soft":true}}`, rec1), results("user:alice")},
		"scope":                            {querySubject, body(anyUser, `"action":{"name":"show"},"resource":{"type":"System.Orders","id":"1"},"context":{"scope":"store:eu-1"}`), results("user:alice")},
		"anonymous":                        {querySubject, body(`"subject":{"type":"anonymous"}`, read, rec1), results("anonymous:anonymous")},
		"applications":                     {querySubject, body(`"subject":{"type":"application"}`, read, rec1), results()},
		"unknown type of subject":          {querySubject, body(`"subject":{"type":"robot"}`, read, rec1), results()},
		"unknown action":                   {querySubject, body(anyUser, `"action":{"name":"fly"}`, rec1), results()},
		"action that cannot exist":         {querySubject, body(anyUser, `"action":{"name":"GET"}`, rec1), results()},
		"unknown type of resource":         {querySubject, body(anyUser, read, `"resource":{"type":"folder","id":"1"}`), results()},
		"resource that cannot exist":       {querySubject, body(anyUser, read, `"resource":{"type":"/todos","id":"1"}`), results()},
		"unknown members":                  {querySubject, body(anyUser, read, rec1, `"foo":{"bar":1},"page":{"properties":{}}`), results("user:alice", "user:bob")},
		"an empty token":                   {querySubject, body(anyUser, read, rec1, `"page":{"token":""}`), results("user:alice", "user:bob")},
		"no type":                          {querySubject, body(`"subject":{"id":"alice"}`, read, rec1), "subject.type"},
		"no subject":                       {querySubject, body(read, rec1), "subject"},
		"no action":                        {querySubject, body(anyUser, rec1), "action"},
		"no resource":                      {querySubject, body(anyUser, read), "resource"},
		"no id of the resource":            {querySubject, body(anyUser, read, `"resource":{"type":"record"}`), "resource.id"},
		"limit too high":                   {querySubject, body(anyUser, read, rec1, `"page":{"limit":1001}`), "page.limit"},
		"limit is a string":                {querySubject, body(anyUser, read, rec1, `"page":{"limit":"5"}`), "page.limit"},
		"token of somewhere else":          {querySubject, body(anyUser, read, rec1, `"page":{"token":"AAAA"}`), "page_token"},
		"page is a number":                 {querySubject, body(anyUser, read, rec1, `"page":1`), "page"},
		"actions":                          {queryAction, body(alice, rec1), results("read", "write")},
		"an action given is not looked at": {queryAction, body(bob, rec1, `"action":{"name":5}`), results("read")},
		"actions by properties":            {queryAction, body(admin, arch), results("read", "write")},
		"actions of an unknown subject":    {queryAction, body(`"subject":{"type":"user","id":"carol"}`, rec1), results()},
		"actions of an unknown type":       {queryAction, body(`"subject":{"type":"robot","id":"1"}`, rec1), results()},
		"anonymous is no user":             {queryAction, body(`"subject":{"type":"user","id":"anonymous"}`, rec1), results()},
		"actions of anonymous":             {queryAction, body(`"subject":{"type":"anonymous","id":"x"}`, rec1), results("read")},
		"actions on an unknown type":       {queryAction, body(alice, `"resource":{"type":"folder","id":"1"}`), results()},
		"actions without a subject":        {queryAction, body(rec1), "subject"},
		"actions without a subject's id":   {queryAction, body(anyUser, rec1), "subject.id"},
		"actions without a resource":       {queryAction, body(alice), "resource"},
		"actions without a resource's id":  {queryAction, body(alice, `"resource":{"type":"record"}`), "resource.id"},
	} {
		t.Run(name, func(t *testing.T) {
			w := h.ask(c.path, c.body)
			if strings.HasPrefix(c.want, "{") {
				if w.Code != 200 || w.Body.String() != c.want {
					t.Errorf("%d %s, want %s", w.Code, w.Body, c.want)
				}
				return
			}
			if p := h.wantProblem(w, 400, "invalid"); p.Details[0].Field != c.want {
				t.Errorf("got %+v, want %s", p.Details, c.want)
			}
		})
	}
	h.wantProblem(h.ask("/access/v1/search/resource", body(alice, read, `"resource":{"type":"record"}`)), 404, "path_unknown")
}

// TestSearch_foreignModel: a tenant whose model is its own is not searched, and
// is not told to have nobody either.
func TestSearch_foreignModel(t *testing.T) {
	h := newHouse(t)
	h.load("plain", files(map[string]string{
		"bundle.yaml": "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: plain\n",
		"model.conf": "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n" +
			"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n",
		"policy.csv": "p, alice, data1, read\n",
	}))
	for path, text := range map[string]string{
		"/v1/search/sections": `{"subject":"user:alice"}`, "/v1/search/subjects": `{"action":"read","section":"data1"}`,
		"/v1/search/actions": `{"subject":"user:alice","section":"data1"}`, querySubject: body(anyUser, read, rec1), queryAction: body(alice, rec1),
	} {
		w := h.send(http.MethodPost, "/t/plain"+path, h.root, text)
		if p := h.wantProblem(w, 400, "invalid"); p.Details[0].Field != "tenant" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

// TestClient_searches: the client that we deliver, page after page.
func TestClient_searches(t *testing.T) {
	h := newHouse(t)
	h.load("default", files(crowd()))
	address, _ := h.start()
	client := &api.Client{URL: "http://" + address, Key: h.key[access.KeyRead], Tenant: "default"}
	all, err := client.AllSubjects(t.Context(), api.SubjectSearch{Action: api.Do("read"), Section: "record", PageSize: 7})
	h.must(err)
	if len(all.Subjects) != 43 || all.Subjects[0] != "anonymous" || all.Revision == 0 || all.NextPageToken != "" {
		t.Errorf("got %+v", all)
	}
	menu, err := client.SearchSections(t.Context(), api.SectionSearch{Subject: "user:alice", Circumstances: api.Circumstances{Scope: "store:eu-1"}})
	h.must(err)
	actions, err := client.SearchActions(t.Context(), api.ActionSearch{Subject: "user:alice", Section: "System.Orders", Circumstances: api.Circumstances{Scope: "store:eu-1"}})
	h.must(err)
	text, err := json.Marshal([]any{menu.Sections, actions.Actions})
	h.must(err)
	if want := `[[{"section":"System.Orders","actions":["show","update"]},{"section":"record","actions":["read","write"]}],["show","update"]]`; string(text) != want {
		t.Errorf("got %s", text)
	}
}
