package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// things is a house with one thing of each kind, by the path of each.
func things(t *testing.T, h *house) map[string]string {
	t.Helper()
	h.load("things", files(map[string]string{
		"bundle.yaml":        "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: things\nlicences: [{feature: chat, seats: 3}]\nscopes: [{scope: \"store:1\", name: One}]\n",
		"catalogue/app.yaml": "apiVersion: bailiwick/v1\nkind: Application\ncode: app\nname: App\nsections: [{path: App, name: App}]\n",
		"groups/one.yaml":    "apiVersion: bailiwick/v1\nkind: Group\ncode: one\nname: One\ngrants: [{section: App, rights: [show]}]\n",
		"groups/two.yaml":    "apiVersion: bailiwick/v1\nkind: Group\ncode: two\nname: Two\nbase: one\n",
		"roles/some.yaml":    "apiVersion: bailiwick/v1\nkind: Role\ncode: some\nname: Some\n",
		"users/all.yaml":     "apiVersion: bailiwick/v1\nkind: Users\nusers:\n  - {id: u1, email: u1@example.com, name: User one, groups: [one, two], attributes: {level: 3}}\n  - {id: u2, email: u2@example.com, name: User two, groups: [one]}\n",
	}))
	return map[string]string{
		"group": "/groups/two", "role": "/roles/some", "user": "/users/u1", "application": "/applications/app",
		"scope": "/scopes/store:1", "licence": "/licences/chat",
	}
}

const thingsPath = "/v1/tenants/things"

// edits is one change of each kind of thing, with a place for something new.
var edits = map[string]struct{ method, below, body string }{
	"group":       {"PATCH", "", `{"description":"%s"}`},
	"role":        {"PATCH", "", `{"description":"%s"}`},
	"user":        {"PATCH", "", `{"name":"%s"}`},
	"application": {"PUT", "/catalogue", `{"name":"%s","sections":[{"path":"App","name":"App"}]}`},
	"scope":       {"PATCH", "", `{"name":"%s"}`},
	"licence":     {"PUT", "", `{"seats":1%s}`},
}

func tagOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	tag := w.Header().Get("Etag")
	if w.Code/100 != 2 || !strings.HasPrefix(tag, `"`) || !strings.HasSuffix(tag, `"`) {
		t.Fatalf("%d, tag %s: %s", w.Code, tag, w.Body)
	}
	return tag
}

// TestETag_thing: a change that names the tag that it has seen is made if the
// thing is still that, and only then; what else was changed does not matter.
// Req 62.
func TestETag_thing(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		paths := things(t, h)
		for kind, path := range paths {
			path = thingsPath + path
			edit := func(tag, text string) *httptest.ResponseRecorder {
				e := edits[kind]
				if kind == "licence" {
					text = fmt.Sprint(len(text))
				}
				return h.send(e.method, path+e.below, h.root, fmt.Sprintf(e.body, text), "If-Match", tag)
			}
			seen := tagOf(t, h.send(http.MethodGet, path, h.root, ""))
			for other, elsewhere := range paths {
				if e := edits[other]; other != kind {
					text := "Elsewhere " + kind
					if other == "licence" {
						text = fmt.Sprint(200 + len(kind))
					}
					tagOrPlan(t, h.send(e.method, thingsPath+elsewhere+e.below, h.root, fmt.Sprintf(e.body, text)))
				}
			}
			if w := edit(seen, "first"); w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", kind, w.Code, w.Body)
			}
			before := h.send(http.MethodGet, path, h.root, "").Body.String()
			w := edit(seen, "the second one")
			h.wantProblem(w, http.StatusPreconditionFailed, "precondition_failed")
			if after := h.send(http.MethodGet, path, h.root, "").Body.String(); after != before {
				t.Errorf("%s: a stale change made %s of %s", kind, after, before)
			}
			for name, stale := range map[string]string{"weak": "W/" + seen, "of something else": `"AAAAAAAAAAAAAAAA"`, "several": `"a", "b.c"`} {
				if w := edit(stale, "third"); w.Code != http.StatusPreconditionFailed && w.Code != http.StatusBadRequest {
					t.Errorf("%s, %s: %d", kind, name, w.Code)
				}
			}
			told := w.Header().Get("Etag")
			if w := edit(`"other", `+told, "the third one there"); w.Code != http.StatusOK {
				t.Errorf("%s with the tag that was told: %d %s", kind, w.Code, w.Body)
			}
			if w := edit("*", "anything at all, whatever"); w.Code != http.StatusOK {
				t.Errorf("%s with any: %d %s", kind, w.Code, w.Body)
			}
		}
	})
}

func tagOrPlan(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

// TestETag_afterChange: the tag in the answer to a change is that of what is
// there then, so that changes can follow one another without reading.
func TestETag_afterChange(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		things(t, h)
		for _, c := range []struct{ method, path, body, at string }{
			{"POST", "/groups", `{"code":"new","name":"New","base":"one","reach":"none","grants":[{"section":"App","crud":10,"scope":"*"}],"attributes":{"n":1,"x":{}}}`, "/groups/new"},
			{"PATCH", "/groups/new", `{"reach":"all","roles":[{"role":"some","scope":"store:1","from":"2027-01-01T00:00:00+02:00"}],"kind":null}`, "/groups/new"},
			{"PUT", "/groups/new/rights", `{"grants":[]}`, "/groups/new"},
			{"POST", "/roles", `{"code":"more","name":"More","grants":[{"section":"App","rights":["show"],"effect":"allow"}]}`, "/roles/more"},
			{"PATCH", "/roles/more", `{"roles":[{"role":"some"}],"grants":null}`, "/roles/more"},
			{"POST", "/users", `{"id":"u3","name":"User three","email":"U3@example.com","groups":[{"group":"one"}],"menu":[],"attributes":{"level":1.5,"deep":{"a":[1]}}}`, "/users/u3"},
			{"PATCH", "/users/u3", `{"menu":null,"grants":[{"section":"App","crud":2,"effect":"deny"}],"attributes":{"deep":null}}`, "/users/u3"},
			{"POST", "/users/u3/licences:add", `{"licences":["chat"]}`, "/users/u3"},
			{"POST", "/users/u3/groups:add", `{"groups":[{"group":"two","scope":"store:1","until":"2030-01-01T00:00:00Z"}]}`, "/users/u3"},
			{"POST", "/users/u3/groups:reorder", `{"groups":[{"group":"two"},{"group":"one"}]}`, "/users/u3"},
			{"POST", "/users/u3:deactivate", ``, "/users/u3"},
			{"DELETE", "/users/u3", ``, "/users/u3"},
			{"POST", "/users/u3:restore", ``, "/users/u3"},
			{"PUT", "/users/u3/applications/app", `{"enabled":false}`, "/users/u3"},
			{"POST", "/scopes", `{"scope":"store:2","parent":"store:1","name":"Two"}`, "/scopes/store:2"},
			{"PATCH", "/scopes/store:2", `{"parent":"*"}`, "/scopes/store:2"},
			{"PUT", "/licences/mail", `{"seats":0}`, "/licences/mail"},
		} {
			changed := tagOf(t, h.send(c.method, thingsPath+c.path, h.root, c.body))
			read := tagOf(t, h.send(http.MethodGet, thingsPath+c.at, h.root, ""))
			if stamp, _, _ := strings.Cut(changed, "."); !strings.HasPrefix(read, stamp+".") {
				t.Errorf("%s %s: the tag was %s and is %s", c.method, c.path, changed, read)
			}
		}
	})
}

// TestETag_unchanged: everything of administration that can be read has a tag,
// and whoever has seen it is told so in few bytes, until it changes.
func TestETag_unchanged(t *testing.T) {
	h := newHouse(t)
	for _, r := range httpapi.Routes() {
		e, listed := matrix[r.Method+" "+r.Path]
		if r.Method != http.MethodGet || !listed || r.Need == string(httpapi.NeedSession) || e.need == "" || e.status/100 > 2 || strings.HasSuffix(r.Path, "/status") || !r.Tags || r.Answer == nil {
			continue
		}
		path := matrixPath(r)
		if strings.Contains(e.path, "?") {
			path = e.path
		}
		first := h.send(http.MethodGet, path, h.root, "")
		tag := tagOf(t, first)
		if strings.HasPrefix(tag, "W/") || first.Header().Get("Cache-Control") != "private, no-cache" {
			t.Errorf("%s: %v", path, first.Header())
		}
		for _, have := range []string{tag, `"x", W/` + tag, "*"} {
			w := h.send(http.MethodGet, path, h.root, "", "If-None-Match", have)
			if w.Code != http.StatusNotModified || w.Body.Len() > 0 || w.Header().Get("Etag") != tag {
				t.Errorf("%s with %s: %d %s %v", path, have, w.Code, w.Body, w.Header())
			}
		}
		if w := h.send(http.MethodGet, path, h.root, "", "If-None-Match", `"x"`); w.Code != http.StatusOK {
			t.Errorf("%s with another tag: %d", path, w.Code)
		}
	}
	path := "/v1/tenants/default/groups"
	tag := tagOf(t, h.send(http.MethodGet, path, h.root, ""))
	decode[api.DirectoryChanged](t, h.send(http.MethodPost, path+"/readers/members", h.root, `{"members":[{"user":"alice"}]}`))
	if now := tagOf(t, h.send(http.MethodGet, path, h.root, "", "If-None-Match", tag)); now == tag {
		t.Error("a list with another count has the tag that it had")
	}
}

// TestETag_noThing: a condition that a path cannot judge is refused, not ignored.
func TestETag_noThing(t *testing.T) {
	h := newHouse(t)
	for _, r := range httpapi.Routes() {
		e, listed := matrix[r.Method+" "+r.Path]
		if !r.Change || !listed || r.Need == "" || r.Need == string(httpapi.NeedSession) {
			continue
		}
		body, media := strings.ReplaceAll(e.body, "%d", "9"), "application/json"
		if len(r.Takes) > 0 {
			body, media = "email,name\nnew@example.com,New\n", "text/csv"
		}
		w := h.send(r.Method, strings.Split(matrixPath(r), "?")[0], h.root, body, "If-Match", `"AAAAAAAAAAAAAAAA"`, "Content-Type", media)
		if w.Code != http.StatusPreconditionFailed && w.Code != http.StatusBadRequest {
			t.Errorf("%s %s: %d %s", r.Method, r.Path, w.Code, w.Body)
		}
	}
	h.wantProblem(h.send(http.MethodPatch, "/v1/tenants/default/groups/readers", h.root, `{"name":"N"}`, "If-Match", "unquoted"), 400, "invalid")
	h.wantProblem(h.send(http.MethodPut, "/v1/tenants/default/licences/new", h.root, `{"seats":1}`, "If-Match", "*"), 412, "precondition_failed")
}

// TestETag_race: of many who change the same thing as they have seen it at the
// same moment, one does, by whichever replica they come. Req 62.
func TestETag_race(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		things(t, h)
		replicas := []*house{h, neighbour(t, h, never)}
		path := thingsPath + "/groups/two"
		for round := range 5 {
			tag := tagOf(t, h.send(http.MethodGet, path, h.root, ""))
			codes := make([]int, 6)
			var all sync.WaitGroup
			for i := range codes {
				all.Go(func() {
					body := fmt.Sprintf(`{"description":"%d-%d"}`, round, i)
					codes[i] = replicas[i%2].send(http.MethodPatch, path, h.root, body, "If-Match", tag).Code
				})
			}
			all.Wait()
			won := 0
			for _, code := range codes {
				if code == http.StatusOK {
					won++
				} else if code != http.StatusPreconditionFailed && code != http.StatusServiceUnavailable {
					t.Errorf("answers %v", codes)
				}
			}
			if won != 1 {
				t.Errorf("%d of %v have changed it", won, codes)
			}
		}
	})
}

// TestETag_hidden: whoever may change users in one store only is not told what
// the tag of others is.
func TestETag_hidden(t *testing.T) {
	h := printHouse(t)
	for id, judged := range map[string]bool{"customer-1": true, "customer-2": false, "root": false} {
		asked := false
		match := &access.Match{Kind: "user", Code: id, Judge: func(any) error { asked = true; return nil }}
		name, email := "New name", "new@example.com"
		_, _, err := h.options.Directory.PatchUser(t.Context(), person("print", "admin-1"), "print", id, service.UserPatch{Name: &name, Email: &email}, access.Change{Source: "test", Match: match})
		if asked != judged || (err == nil) != judged {
			t.Errorf("%s: asked %t, %v", id, asked, err)
		}
	}
}
