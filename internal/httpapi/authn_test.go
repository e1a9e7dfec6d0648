package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// entry is one route of the authorization matrix: a request that would work,
// and the least kind of key it needs.
type entry struct {
	body   string
	need   access.KeyKind // "" needs no key
	all    bool           // only keys of all tenants
	any    bool           // not about one tenant, so a key of another one may
	path   string         // where the path of the route has further parameters
	status int            // 200 when 0
	media  string         // of the body; JSON when empty
}

func (e entry) headers() []string {
	if e.media == "" {
		return nil
	}
	return []string{"Content-Type", e.media}
}

const question = `{"subject":"user:alice","section":"record","action":"read"}`

// matrix has a line for every route; a route without one fails the test.
var matrix = map[string]entry{
	"POST /v1/enforce":                                  {body: question, need: access.KeyDecide},
	"POST /t/{tenant}/v1/enforce":                       {body: question, need: access.KeyDecide},
	"POST /v1/enforce/batch":                            {body: `{"requests":[` + question + `]}`, need: access.KeyDecide},
	"POST /t/{tenant}/v1/enforce/batch":                 {body: `{"requests":[` + question + `]}`, need: access.KeyDecide},
	"POST /v1/explain":                                  {body: question, need: access.KeyRead},
	"POST /t/{tenant}/v1/explain":                       {body: question, need: access.KeyRead},
	"POST /access/v1/evaluation":                        {body: body(alice, read, rec1), need: access.KeyDecide},
	"POST /t/{tenant}/access/v1/evaluation":             {body: body(alice, read, rec1), need: access.KeyDecide},
	"POST /access/v1/evaluations":                       {body: body(alice, read, rec1), need: access.KeyDecide},
	"POST /t/{tenant}/access/v1/evaluations":            {body: body(alice, read, rec1), need: access.KeyDecide},
	"POST /v1/search/actions":                           {body: `{"subject":"user:alice","section":"record"}`, need: access.KeyDecide},
	"POST /t/{tenant}/v1/search/actions":                {body: `{"subject":"user:alice","section":"record"}`, need: access.KeyDecide},
	"POST /v1/matrix":                                   {body: `{}`, need: access.KeyRead},
	"POST /t/{tenant}/v1/matrix":                        {body: `{}`, need: access.KeyRead},
	"POST /v1/search/sections":                          {body: `{"subject":"user:alice"}`, need: access.KeyDecide},
	"POST /t/{tenant}/v1/search/sections":               {body: `{"subject":"user:alice"}`, need: access.KeyDecide},
	"POST /v1/search/subjects":                          {body: `{"section":"record","action":"read"}`, need: access.KeyRead},
	"POST /t/{tenant}/v1/search/subjects":               {body: `{"section":"record","action":"read"}`, need: access.KeyRead},
	"POST /access/v1/search/subject":                    {body: body(anyUser, read, rec1), need: access.KeyRead},
	"POST /t/{tenant}/access/v1/search/subject":         {body: body(anyUser, read, rec1), need: access.KeyRead},
	"POST /access/v1/search/action":                     {body: body(alice, rec1), need: access.KeyDecide},
	"POST /t/{tenant}/access/v1/search/action":          {body: body(alice, rec1), need: access.KeyDecide},
	"GET /.well-known/authzen-configuration":            {},
	"GET /t/{tenant}/.well-known/authzen-configuration": {},
	"GET /.well-known/authzen-configuration/t/{tenant}": {},
	"GET /v1/tenants":                                   {need: access.KeyRead, any: true},
	"POST /v1/tenants":                                  {body: `{"code":"new-%d"}`, need: access.KeyAdmin, all: true, status: 201},
	"PUT /v1/tenants/{tenant}/policy":                   {body: policyBody(`"dry_run":true`), need: access.KeyAdmin},
	"GET /v1/tenants/{tenant}/revisions":                {need: access.KeyRead},
	"GET /v1/tenants/{tenant}/decisions":                {need: access.KeyRead},
	"GET /v1/tenants/{tenant}/refusals":                 {need: access.KeyRead},
	"GET /v1/tenants/{tenant}/trail":                    {need: access.KeyRead},
	"GET /v1/tenants/{tenant}/decisions/{id}":           {need: access.KeyRead, path: "/v1/tenants/default/decisions/unknown", status: 404},
	"POST /v1/tenants/{tenant}/decisions/{id}:replay":   {need: access.KeyRead, path: "/v1/tenants/default/decisions/unknown:replay", status: 404},
	"GET /v1/tenants/{tenant}/keys":                     {need: access.KeyAdmin},
	"POST /v1/tenants/{tenant}/keys":                    {body: `{"kind":"decide","name":"till"}`, need: access.KeyAdmin, status: 201},
	"DELETE /v1/tenants/{tenant}/keys/{id}":             {need: access.KeyAdmin, path: "/v1/tenants/default/keys/unknownunkno", status: 404},
	"GET /v1/status":                                    {need: access.KeyRead, any: true},
	"GET /livez":                                        {},
	"GET /readyz":                                       {},
	"GET /metrics":                                      {},
	"GET /openapi.json":                                 {},
	"GET /docs":                                         {},
}

func policyBody(more ...string) string {
	text, _ := json.Marshal(authzenTexts)
	return body(append([]string{`"files":` + string(text)}, more...)...)
}

// TestAuthority_matrix sends every route to every kind of caller.
func TestAuthority_matrix(t *testing.T) {
	h := newHouse(t)
	h.load("other", authzenPolicy)
	revoked, key, err := h.keys.Create(context.Background(), rootCaller, "default", access.KeyAdmin, "gone")
	h.must(err)
	h.must(h.keys.Revoke(context.Background(), rootCaller, "default", key.ID, "test"))
	rank := map[access.KeyKind]int{"": 0, access.KeyDecide: 1, access.KeyRead: 2, access.KeyAdmin: 3}
	callers := map[string]struct {
		key     string
		kind    access.KeyKind
		foreign bool
		all     bool
	}{
		"no key":               {},
		"nonsense":             {key: "bw_aaaaaaaaaaaa_" + strings.Repeat("a", 43)},
		"decide":               {key: h.key[access.KeyDecide], kind: access.KeyDecide},
		"read":                 {key: h.key[access.KeyRead], kind: access.KeyRead},
		"admin":                {key: h.key[access.KeyAdmin], kind: access.KeyAdmin},
		"admin elsewhere":      {key: h.newKey("other", access.KeyAdmin), kind: access.KeyAdmin, foreign: true},
		"revoked admin":        {key: revoked},
		"decide for everybody": {key: h.newKey(access.AllTenants, access.KeyDecide), kind: access.KeyDecide, all: true},
		"admin for everybody":  {key: h.root, kind: access.KeyAdmin, all: true},
	}
	count := 0
	for _, r := range httpapi.Routes() {
		e, ok := matrix[r.Method+" "+r.Path]
		if !ok {
			t.Errorf("%s %s has no line in the matrix", r.Method, r.Path)
			continue
		}
		if r.Need != string(e.need) {
			t.Errorf("%s %s needs %q, the matrix says %q", r.Method, r.Path, r.Need, e.need)
		}
		for name, c := range callers {
			count++
			path, text := strings.ReplaceAll(r.Path, "{tenant}", "default"), e.body
			if e.path != "" {
				path = e.path
			}
			if strings.Contains(text, "%d") {
				text = fmt.Sprintf(text, count)
			}
			want := max(e.status, 200)
			switch {
			case e.need == httpapi.NeedSession, e.need != "" && c.kind == "":
				want = 401
			case rank[c.kind] < rank[e.need], c.foreign && e.need != "" && !e.any, e.all && !c.all:
				want = 403
			}
			w := h.send(r.Method, path, c.key, text, e.headers()...)
			if w.Code != want {
				t.Errorf("%s %s by %s: got %d, want %d: %s", r.Method, r.Path, name, w.Code, want, w.Body)
			}
			if want == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s by %s: WWW-Authenticate is missing", r.Method, r.Path, name)
			}
		}
	}
	if len(matrix) != len(httpapi.Routes()) {
		t.Error("the matrix has lines for routes that do not exist")
	}
}

// TestAuthenticate_saysNothingAboutWhy: whoever guesses keys must not learn
// which ids exist.
func TestAuthenticate_saysNothingAboutWhy(t *testing.T) {
	h := newHouse(t)
	good := h.key[access.KeyDecide]
	revoked, key, err := h.keys.Create(context.Background(), rootCaller, "default", access.KeyDecide, "gone")
	h.must(err)
	h.must(h.keys.Revoke(context.Background(), rootCaller, "default", key.ID, "test"))
	var bodies []string
	for _, text := range []string{
		revoked, "bw_aaaaaaaaaaaa_" + good[16:], good[:16] + strings.Repeat("A", 43), good[:len(good)-1], good + "A", "x", "bw_",
		"bw-" + good[3:], good[:15] + "-" + good[16:], strings.ToUpper(good),
	} {
		w := h.send(http.MethodPost, "/v1/enforce", text, question, "X-Request-ID", "same")
		h.wantProblem(w, 401, "unauthenticated")
		bodies = append(bodies, w.Body.String())
	}
	for _, b := range bodies {
		if b != bodies[0] {
			t.Errorf("answers differ: %s and %s", b, bodies[0])
		}
	}
}

// TestAuthenticate_headers: one key, in one of two headers.
func TestAuthenticate_headers(t *testing.T) {
	h := newHouse(t)
	key := h.key[access.KeyDecide]
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"Bearer":              {[]string{"Authorization", "Bearer " + key}, 200},
		"bearer":              {[]string{"Authorization", "bearer " + key}, 200},
		"X-API-Key":           {[]string{"X-API-Key", key}, 200},
		"Basic":               {[]string{"Authorization", "Basic " + key}, 401},
		"no scheme":           {[]string{"Authorization", key}, 401},
		"both":                {[]string{"Authorization", "Bearer " + key, "X-API-Key", key}, 401},
		"a blank in front":    {[]string{"Authorization", "Bearer  " + key}, 401},
		"an empty bearer":     {[]string{"Authorization", "Bearer "}, 401},
		"key in the URL only": {nil, 401},
	} {
		if w := h.send(http.MethodPost, "/v1/enforce?key="+key, "", question, c.headers...); w.Code != c.want {
			t.Errorf("%s: got %d, want %d", name, w.Code, c.want)
		}
	}
}

// TestLog_noKey: keys appear in no line of the log, whatever is sent (A4).
func TestLog_noKey(t *testing.T) {
	h := newHouse(t)
	created := decode[api.CreatedKey](t, h.send(http.MethodPost, "/v1/tenants/default/keys", h.root, `{"kind":"decide","name":"till"}`))
	for _, key := range []string{created.Text, h.root, created.Text + "x"} {
		h.send(http.MethodPost, "/v1/enforce", key, question)
		h.send(http.MethodPost, "/v1/enforce", "", question, "X-API-Key", key)
		h.send(http.MethodPost, "/v1/enforce", key, `{"subject":`)
		h.send(http.MethodGet, "/v1/tenants?key="+key, key, "")
	}
	log := h.log.String()
	for _, key := range []string{created.Text, h.root} {
		if secret := key[16:]; strings.Contains(log, secret) {
			t.Errorf("the secret of a key stands in the log")
		}
	}
	if !strings.Contains(log, `"caller":"key:till"`) || !strings.Contains(log, `"status":401`) {
		t.Errorf("the log does not say who called: %s", log)
	}
}

// TestKeys_madeAndRevokedWhileUsed is for the race detector, and shows that a
// revoked key is dead when Revoke returns.
func TestKeys_madeAndRevokedWhileUsed(t *testing.T) {
	h := newHouse(t)
	var wait, poller sync.WaitGroup
	stop := make(chan struct{})
	poller.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = h.follower.Poll(context.Background())
			}
		}
	})
	for range 3 {
		wait.Go(func() {
			for range 10 {
				k := decode[api.CreatedKey](t, h.send(http.MethodPost, "/v1/tenants/default/keys", h.root, `{"kind":"decide","name":"till"}`))
				if w := h.send(http.MethodPost, "/v1/enforce", k.Text, question); w.Code != 200 {
					t.Errorf("a new key answers %d", w.Code)
				}
				if w := h.send(http.MethodDelete, "/v1/tenants/default/keys/"+k.ID, h.root, ""); w.Code != 204 {
					t.Errorf("revoking answers %d %s", w.Code, w.Body)
				}
				if w := h.send(http.MethodPost, "/v1/enforce", k.Text, question); w.Code != 401 {
					t.Errorf("a revoked key answers %d", w.Code)
				}
			}
		})
	}
	wait.Wait()
	close(stop)
	poller.Wait()
}
