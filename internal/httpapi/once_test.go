package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/store"
)

// posts is one change for each route that takes an Idempotency-Key, in an order
// in which they can be made.
var posts = []struct{ route, path, body string }{
	{"/v1/tenants", "/v1/tenants", `{"code":"another"}`},
	{groups, thingsPath + "/groups", `{"code":"new","name":"New"}`},
	{roles, thingsPath + "/roles", `{"code":"more","name":"More"}`},
	{users, thingsPath + "/users", `{"name":"Of a random id","email":"u3@example.com","groups":[{"group":"one"}]}`},
	{"/v1/tenants/{tenant}/scopes", thingsPath + "/scopes", `{"scope":"store:9","name":"Nine"}`},
	{groups + "/{code}/members", thingsPath + "/groups/new/members", `{"members":[{"user":"u1"}]}`},
	{groups + "/{code}/members/move", thingsPath + "/groups/new/members/move", `{"users":["u1"]}`},
	{users + ":bulk", thingsPath + "/users:bulk", `{"operations":[{"op":"deactivate","id":"u2"}]}`},
	{users + "/{id}:activate", thingsPath + "/users/u2:activate", ``},
	{users + "/{id}:deactivate", thingsPath + "/users/u2:deactivate", `{"reason":"gone"}`},
	{users + "/{id}/groups:add", thingsPath + "/users/u2/groups:add", `{"groups":["two"]}`},
	{users + "/{id}/groups:reorder", thingsPath + "/users/u2/groups:reorder", `{"groups":[{"group":"two"},{"group":"one"}]}`},
	{users + "/{id}/groups:remove", thingsPath + "/users/u2/groups:remove", `{"groups":[{"group":"two"}]}`},
	{users + "/{id}/roles:add", thingsPath + "/users/u2/roles:add", `{"roles":[{"role":"some"}]}`},
	{users + "/{id}/roles:remove", thingsPath + "/users/u2/roles:remove", `{"roles":[{"role":"some"}]}`},
	{users + "/{id}/licences:add", thingsPath + "/users/u2/licences:add", `{"licences":["chat"]}`},
	{users + "/{id}/licences:remove", thingsPath + "/users/u2/licences:remove", `{"licences":["chat"]}`},
	{users + ":import", thingsPath + "/users:import", "email,name\nu4@example.com,Four\n"},
	{groups + "/{code}/members:import", thingsPath + "/groups/two/members:import", "email,name\nu5@example.com,Five\n"},
	{users + "/{id}:hand-over", thingsPath + "/users/u1:hand-over", `{"to":"u2"}`},
	{users + "/{id}:restore", thingsPath + "/users/u1:restore", ``},
}

const (
	groups = "/v1/tenants/{tenant}/groups"
	roles  = "/v1/tenants/{tenant}/roles"
	users  = "/v1/tenants/{tenant}/users"
)

// post sends a change with an Idempotency-Key.
func (h *house) post(path, body, key string) *httptest.ResponseRecorder {
	h.t.Helper()
	media := "application/json"
	if strings.Contains(path, ":import") {
		media = "text/csv"
	}
	return h.send(http.MethodPost, path, h.root, body, "Idempotency-Key", key, "Content-Type", media)
}

func (h *house) revisions() int {
	h.t.Helper()
	all, err := h.store.Revisions(h.t.Context(), "things")
	h.must(err)
	return len(all)
}

// TestOnce_everyRoute: every POST that changes something is made once however
// often it is sent with its key, and answered as at first, on any replica; what
// shows a secret refuses the header.
func TestOnce_everyRoute(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		things(t, h)
		n := neighbour(t, h, never)
		listed := map[string]bool{}
		for i, p := range posts {
			listed[p.route] = true
			if strings.HasSuffix(p.route, ":hand-over") {
				decode[api.User](t, h.send(http.MethodDelete, thingsPath+"/users/u1", h.root, ""))
			}
			key := fmt.Sprint("key-", i)
			first := h.post(p.path, p.body, key)
			if first.Code/100 != 2 || first.Header().Get("Idempotency-Replayed") != "" {
				t.Fatalf("%s: %d %s", p.path, first.Code, first.Body)
			}
			before := h.revisions()
			for _, replica := range []*house{h, n} {
				again := replica.post(p.path, p.body, key)
				if again.Code != first.Code || again.Body.String() != first.Body.String() || again.Header().Get("Etag") != first.Header().Get("Etag") {
					t.Errorf("%s: %d %s %s, at first %d %s %s", p.path, again.Code, again.Header().Get("Etag"), again.Body, first.Code, first.Header().Get("Etag"), first.Body)
				}
				if again.Header().Get("Idempotency-Replayed") != "true" {
					t.Errorf("%s: nothing says that it was answered before", p.path)
				}
			}
			if after := h.revisions(); after != before {
				t.Errorf("%s: %d revisions more", p.path, after-before)
			}
		}
		for _, r := range httpapi.Routes() {
			if r.Change && r.Need != string(httpapi.NeedSession) && !listed[r.Path] {
				w := h.send(r.Method, matrixPath(r), h.root, "{}", "Idempotency-Key", "k")
				if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"field":"Idempotency-Key"`) {
					t.Errorf("%s %s is neither in the list, nor does it refuse the header: %s", r.Method, r.Path, w.Body)
				}
			}
		}
	})
}

// TestOnce_twins: of many twins that come at the same moment to several replicas
// one is made, and all are answered alike.
func TestOnce_twins(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		things(t, h)
		replicas := []*house{h, neighbour(t, h, never)}
		for round := range 5 {
			before, body := h.revisions(), fmt.Sprintf(`{"name":"Twin","email":"twin-%d@example.com"}`, round)
			answers := make([]*httptest.ResponseRecorder, 8)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() { answers[i] = replicas[i%2].post(thingsPath+"/users", body, fmt.Sprint("round-", round)) })
			}
			all.Wait()
			made := map[string]bool{}
			for _, w := range answers {
				if w.Code != http.StatusServiceUnavailable {
					made[fmt.Sprint(w.Code, w.Body)] = true
				}
			}
			if len(made) != 1 || h.revisions() != before+1 {
				t.Errorf("round %d: %d revisions, answers %v", round, h.revisions()-before, made)
			}
		}
	})
}

// TestOnce_bound: a key is bound to who asks, where, and for what. What was
// refused is not kept, and what changed nothing is.
func TestOnce_bound(t *testing.T) {
	h := newHouse(t)
	things(t, h)
	path := thingsPath + "/users/u1:activate"
	decode[api.User](t, h.post(path, `{}`, "k"))
	h.wantProblem(h.post(path, `{"reason":"other"}`, "k"), http.StatusUnprocessableEntity, "key_reused")
	decode[api.User](t, h.post(thingsPath+"/users/u1:deactivate", `{}`, "k")) // another path
	if u := decode[api.User](t, h.post(path, `{}`, "k")); u.Status != "active" {
		t.Errorf("answered %+v", u)
	}
	if u := decode[api.User](t, h.send(http.MethodGet, thingsPath+"/users/u1", h.root, "")); u.Status != "disabled" {
		t.Errorf("what had nothing to do was done later: %+v", u)
	}
	mine := h.newKey("things", access.KeyAdmin)
	if w := h.send(http.MethodPost, path, mine, `{"reason":"of somebody else"}`, "Idempotency-Key", "k"); w.Code != http.StatusOK || w.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("another caller: %d %s", w.Code, w.Body)
	}
	groups := thingsPath + "/groups"
	h.wantProblem(h.post(groups, `{"code":"n"}`, "g"), http.StatusBadRequest, "invalid")
	decode[api.Group](t, h.post(groups, `{"code":"n","name":"N"}`, "g"))
	for name, key := range map[string]string{"empty": "", "long": strings.Repeat("k", 256), "blank": "a b", "not ASCII": "ä"} {
		if p := h.wantProblem(h.post(groups, `{"code":"o","name":"O"}`, key), http.StatusBadRequest, "invalid"); p.Details[0].Field != "Idempotency-Key" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	decode[api.Group](t, h.post(groups, `{"code":"o","name":"O"}`, strings.Repeat("k", 255)))
	if w := h.post(groups, `{"code":"p","name":"P","base_revision":1}`, "stale"); w.Code != http.StatusConflict {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestOnce_conditions: the same request again is answered although its own
// conditions no longer hold, since it was what has changed that.
func TestOnce_conditions(t *testing.T) {
	h := newHouse(t)
	things(t, h)
	path := thingsPath + "/users/u1:deactivate"
	body := fmt.Sprintf(`{"base_revision":%d}`, h.revisions())
	tag := tagOf(t, h.send(http.MethodGet, thingsPath+"/users/u1", h.root, ""))
	for range 2 {
		w := h.send(http.MethodPost, path, h.root, body, "Idempotency-Key", "k", "If-Match", tag)
		if w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

// TestOnce_expires: after a day a key is free again.
func TestOnce_expires(t *testing.T) {
	now := time.Now()
	o := sqliteFile(t)
	o.Clock = func() time.Time { return now }
	h := newHouseOn(t, o)
	things(t, h)
	path := thingsPath + "/groups"
	decode[api.Group](t, h.post(path, `{"code":"n","name":"N"}`, "k"))
	now = now.Add(access.OnceFor - time.Second)
	h.must(h.store.ForgetAttempts(t.Context()))
	if w := h.post(path, `{"code":"n","name":"N"}`, "k"); w.Header().Get("Idempotency-Replayed") == "" {
		t.Errorf("before a day: %d %s", w.Code, w.Body)
	}
	now = now.Add(2 * time.Second)
	h.wantProblem(h.post(path, `{"code":"n","name":"N"}`, "k"), http.StatusConflict, "exists")
	decode[api.Group](t, h.post(path, `{"code":"m","name":"M"}`, "k"))
}

// TestOnce_noSecrets: no answer that shows a secret is kept, and no key as it is.
func TestOnce_noSecrets(t *testing.T) {
	h := newHouse(t)
	w := h.send(http.MethodPost, "/v1/tenants/default/keys", h.root, `{"kind":"read","name":"canary"}`, "Idempotency-Key", "k")
	h.wantProblem(w, http.StatusBadRequest, "invalid")
	if keys := decode[api.Keys](t, h.send(http.MethodGet, "/v1/tenants/default/keys", h.root, "")); strings.Contains(mustJSON(t, keys), "canary") {
		t.Error("the key was made all the same")
	}
}
