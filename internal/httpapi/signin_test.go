package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/store"
)

func init() {
	const at, nobody = "/v1/tenants/{tenant}/users/{id}", "/v1/tenants/default/users/nobody"
	maps.Copy(matrix, map[string]entry{
		"POST /v1/tenants/{tenant}/sign-in": {body: `{"email":"nobody-%d@example.com","password":"wrong"}`, status: 401},
		"POST /v1/sign-out":                 {need: httpapi.NeedSession},
		"GET /v1/session":                   {need: httpapi.NeedSession},
		"PUT /v1/session/password":          {need: httpapi.NeedSession, body: `{"current":"x","password":"y"}`},
		"PATCH /v1/session/profile":         {need: httpapi.NeedSession, body: `{"name":"Me"}`},
		"GET /v1/session/presence":          {need: httpapi.NeedSession},
		"PUT /v1/session/presence":          {need: httpapi.NeedSession, body: `{"status":"busy"}`},
		"GET /v1/sessions":                  {need: httpapi.NeedSession},
		"DELETE /v1/sessions":               {need: httpapi.NeedSession},
		"DELETE /v1/sessions/{id}":          {need: httpapi.NeedSession, path: "/v1/sessions/x"},
		"PUT " + at + "/password":           {need: access.KeyAdmin, path: nobody + "/password", body: `{"password":"x"}`, status: 404},
		"GET " + at + "/sign-in":            {need: access.KeyRead, path: "/v1/tenants/default/users/bob/sign-in"},
		"GET " + at + "/sessions":           {need: access.KeyRead, path: "/v1/tenants/default/users/bob/sessions"},
		"DELETE " + at + "/sessions":        {need: access.KeyAdmin, path: nobody + "/sessions", status: 404},
		"POST " + at + ":unlock":            {need: access.KeyAdmin, path: nobody + ":unlock", status: 404},
	})
}

// Passwords that keep the default rules.
const (
	firstPassword = "given by somebody else 1"
	ownPassword   = "known to nobody else 2"
	wrongPassword = "what an attacker tries 3"
)

// site is a house with a tenant of people, behind a real encrypted listener, and
// with a clock that all of its rooms share.
type site struct {
	*house
	server *httptest.Server
	clock  *atomic.Int64 // added to the real time
}

// forward lets time pass, and the follower look whether the policy is as it was.
func (s *site) forward(d time.Duration) {
	s.t.Helper()
	s.clock.Add(int64(d))
	s.must(s.follower.Poll(context.Background()))
}

const people = "/v1/tenants/people"

var peopleTexts = map[string]string{
	"bundle.yaml": "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: people\n",
	"groups/staff.yaml": `apiVersion: bailiwick/v1
kind: Group
code: staff
name: Staff
grants: [{section: System.Access.Users, rights: [show, insert, update, delete]}]
`,
	"groups/root.yaml": `apiVersion: bailiwick/v1
kind: Group
code: root
name: Root
roles: [superuser]
`,
	"groups/pattern.yaml": `apiVersion: bailiwick/v1
kind: Group
code: pattern
name: Pattern
type: template
`,
	"users/all.yaml": `apiVersion: bailiwick/v1
kind: Users
users:
  - {id: operator-1, email: Operator-1@example.com, name: First operator, groups: [staff]}
  - {id: sales-1, email: sales-1@example.com, name: First salesman, groups: [staff]}
  - {id: boss-1, email: boss-1@example.com, name: First superuser, groups: [root]}
  - {id: pattern-1, email: pattern-1@example.com, name: Nobody, groups: [pattern]}
`,
}

func newSite(t *testing.T, o store.Options) *site {
	t.Helper()
	s := &site{clock: &atomic.Int64{}}
	// Time passes where a test says so: a code of thirty seconds, or a wait after a
	// wrong password, is then over on a slow machine when it is over on a fast one.
	begun := time.Now()
	now := func() time.Time { return begun.Add(time.Duration(s.clock.Load())) }
	o.Clock = now
	s.house = newHouseOn(t, o)
	s.now = now
	s.load("people", files(peopleTexts))
	s.server = httptest.NewTLSServer(s.house.server.Handler())
	t.Cleanup(s.server.Close)
	return s
}

// onEachSite runs a test over each kind of database.
func onEachSite(t *testing.T, test func(*testing.T, *site)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, newSite(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")}))
	})
	t.Run("mysql", func(t *testing.T) { test(t, newSite(t, store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t)})) })
}

// browser keeps cookies, and sends what a browser on our own pages sends.
type browser struct {
	t      *testing.T
	site   *site
	client *http.Client
	csrf   string
	origin string
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *s.server.Client()
	client.Jar = jar
	return &browser{t: t, site: s, client: &client, origin: s.server.URL}
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

func (b *browser) send(method, path, body string, headers ...string) *answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, b.site.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Origin", b.origin)
	if b.csrf != "" {
		r.Header.Set("X-CSRF-Token", b.csrf)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &answer{b.t, w.StatusCode, w.Header, text}
}

// want fails unless the answer has this status, and code where it is a problem.
func (a *answer) want(status int, code string) *answer {
	a.t.Helper()
	var p api.Problem
	_ = json.Unmarshal(a.body, &p)
	if a.status != status || p.Code != code {
		a.t.Fatalf("got %d %s, want %d %s: %s", a.status, p.Code, status, code, a.body)
	}
	return a
}

func (a *answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%s: %v", a.body, err)
	}
}

func signInBody(email, password string) string {
	text, _ := json.Marshal(api.SignIn{Login: api.Login{Email: email}, Password: password})
	return string(text)
}

func (b *browser) trySignIn(email, password string) *answer {
	b.t.Helper()
	return b.send(http.MethodPost, people+"/sign-in", signInBody(email, password))
}

// signIn signs in and remembers the token.
func (b *browser) signIn(email, password string) api.SignedIn {
	b.t.Helper()
	return b.welcome(b.trySignIn(email, password))
}

func (b *browser) welcome(a *answer) api.SignedIn {
	b.t.Helper()
	var w api.SignedIn
	a.want(http.StatusOK, "").into(&w)
	b.csrf = w.CSRFToken
	return w
}

func (b *browser) changePassword(current, next string) *answer {
	b.t.Helper()
	text, _ := json.Marshal(api.OwnPassword{Current: current, Password: next})
	return b.send(http.MethodPut, "/v1/session/password", string(text))
}

// admin does something with the key of the site's operator.
func (s *site) admin(method, path, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(method, people+path, s.root, body)
}

// give sets a password by key, as administrators do.
func (s *site) give(id, password string) {
	s.t.Helper()
	decode[api.User](s.t, s.admin(http.MethodPut, "/users/"+id+"/password", `{"password":"`+password+`","reason":"a test"}`))
}

// member is a browser whose user has chosen a password and signed in.
func (s *site) member(t *testing.T, id string) *browser {
	t.Helper()
	s.give(id, firstPassword)
	b := s.browser(t)
	b.signIn(id+"@example.com", firstPassword)
	b.welcome(b.changePassword(firstPassword, ownPassword))
	return b
}

// TestSignIn is the story of a password: given, changed at once, used.
func TestSignIn(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		b := s.browser(t)
		b.trySignIn("operator-1@example.com", firstPassword).want(401, "sign_in_refused")
		s.give("operator-1", firstPassword)

		by := b.signIn("operator-1@example.com", firstPassword)
		if by.Next != "password" || !by.MustChange || by.User != "operator-1" || by.Email != "Operator-1@example.com" || by.Tenant != "people" {
			t.Errorf("signed in as %+v", by)
		}
		for path, method := range map[string]string{people + "/users": "GET", "/v1/sessions": "GET", "/v1/enforce": "POST"} {
			b.send(method, path, `{}`).want(403, "sign_in_unfinished")
		}
		old := b.cookie()
		after := b.welcome(b.changePassword(firstPassword, ownPassword))
		if after.Next != "" || after.MustChange || after.Session.ID != by.Session.ID {
			t.Errorf("afterwards %+v", after)
		}
		if b.cookie() == old || after.CSRFToken == by.CSRFToken {
			t.Error("the session kept its secret")
		}
		var list api.Users
		b.send("GET", people+"/users", "").want(200, "").into(&list)
		if len(list.Users) == 0 {
			t.Error("the list of users is empty")
		}
		var made api.User
		b.send("POST", people+"/users", `{"email":"new-1@example.com","name":"New","groups":[{"group":"staff"}]}`).want(201, "").into(&made)
		entries, err := s.store.Revisions(t.Context(), "people")
		s.must(err)
		if last := entries[len(entries)-1]; last.Author != "user:operator-1" {
			t.Errorf("the history says that %s did it", last.Author)
		}
		b.send("GET", "/v1/tenants/default/users", "").want(403, "forbidden") // another tenant's

		b.send("POST", "/v1/sign-out", "").want(204, "")
		if b.cookie() != "" {
			t.Error("the cookie is still there")
		}
		b.send("GET", "/v1/session", "").want(401, "signed_out")
		b.trySignIn("operator-1@example.com", firstPassword).want(401, "sign_in_refused")
		b.signIn(" OPERATOR-1@Example.COM ", ownPassword)
	})
}

func (b *browser) cookie() string {
	u, _ := url.Parse(b.site.server.URL)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == "__Host-bailiwick" {
			return c.Value
		}
	}
	return ""
}

// TestSignIn_cookie: nobody but the browser that signed in has it.
func TestSignIn_cookie(t *testing.T) {
	s := newSite(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")})
	s.give("sales-1", firstPassword)
	a := s.browser(t).trySignIn("sales-1@example.com", firstPassword).want(200, "")
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	c := cookies[0]
	if c.Name != "__Host-bailiwick" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || len(c.Value) != 43 {
		t.Errorf("the cookie is %s", strings.Replace(c.String(), c.Value, "…", 1))
	}
	if bytes.Contains(a.body, []byte(c.Value)) {
		t.Error("the body holds the cookie's secret")
	}
	other := s.browser(t)
	u, _ := url.Parse(s.server.URL)
	for name, value := range map[string]string{"cut": c.Value[:42], "longer": c.Value + "A", "other case": strings.ToUpper(c.Value), "nonsense": "x"} {
		other.client.Jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Value: value, Path: "/", Secure: true}})
		other.send("GET", "/v1/session", "").want(401, "signed_out")
		t.Log(name)
	}
	other.send("GET", "/v1/session", "", "Cookie", c.Name+"="+c.Value+"; "+c.Name+"="+c.Value).want(400, "invalid")
	other.client.Jar, _ = cookiejar.New(nil)
	for header, value := range map[string]string{"Authorization": "Bearer " + s.root, "X-API-Key": s.root} {
		other.send("GET", people+"/users", "", "Cookie", c.Name+"="+c.Value, header, value).want(400, "invalid")
	}
	// Cookies of others do no harm to who comes with a key.
	other.send("GET", people+"/users", "", "Cookie", "theme=dark", "Authorization", "Bearer "+s.root).want(200, "")
}

// TestSignIn_encrypted: a password is not taken over a connection on which the
// cookie would not come back.
func TestSignIn_encrypted(t *testing.T) {
	h := newHouse(t, func(o *httpapi.Options) { o.PublicURL = "http://access.example.com" })
	body := signInBody("nobody@example.com", wrongPassword)
	for host, want := range map[string]int{
		"localhost": 401, "localhost:8080": 401, "127.0.0.1:8080": 401, "[::1]:8080": 401, "a.localhost": 401,
		"access.example.com": 403, "10.0.0.1:8080": 403, "localhost.example.com": 403, "127.0.0.1.example.com": 403, "": 403,
	} {
		w := h.send("POST", "/v1/tenants/default/sign-in", "", body, "Host", host)
		if w.Code != want {
			t.Errorf("%q: got %d, want %d: %s", host, w.Code, want, w.Body)
		}
		if want == 403 {
			if p := h.wantProblem(w, 403, "https_required"); !strings.Contains(p.Message, "https") {
				t.Errorf("the sentence is %q", p.Message)
			}
		}
	}
}

// TestSession_crossSite: what changes something must come from our own pages and
// show that it knows the session's token.
func TestSession_crossSite(t *testing.T) {
	s := newSite(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")})
	b := s.member(t, "operator-1")
	other := s.member(t, "sales-1")
	const path, body = people + "/users/sales-1", `{"name":"Changed"}`
	for name, headers := range map[string][]string{
		"another origin":       {"Origin", "https://evil.example.com"},
		"no origin at all":     {"Origin", "null"},
		"another site":         {"Sec-Fetch-Site", "cross-site"},
		"a sibling":            {"Sec-Fetch-Site", "same-site"},
		"no token":             {"X-CSRF-Token", ""},
		"a wrong token":        {"X-CSRF-Token", "x"},
		"somebody else's":      {"X-CSRF-Token", other.csrf},
		"another port":         {"Origin", "https://127.0.0.1:1"},
		"the same, not secure": {"Origin", "http://evil.example.com"},
	} {
		t.Run(name, func(t *testing.T) { b.send("PATCH", path, body, headers...).want(403, "cross_site") })
	}
	for _, r := range [][2]string{{"POST", "/v1/sign-out"}, {"DELETE", "/v1/sessions"}, {"PUT", "/v1/session/password"}, {"POST", "/v1/enforce"}} {
		b.send(r[0], r[1], `{}`, "X-CSRF-Token", "").want(403, "cross_site")
	}
	b.send("PATCH", path, body).want(200, "")
	b.send("PATCH", path, `{"name":"Again"}`, "Sec-Fetch-Site", "same-origin").want(200, "")
	b.send("PATCH", path, `{"name":"Without a browser"}`, "Origin", "").want(200, "")
	b.send("POST", people+"/sign-in", signInBody("sales-1@example.com", ownPassword), "Sec-Fetch-Site", "cross-site").want(403, "cross_site")
	b.send("POST", people+"/sign-in", signInBody("sales-1@example.com", ownPassword), "Content-Type", "text/plain").want(415, "content_type")
}

// Req 35: people change their own name and menu without any right, and nothing
// that decides, nor anybody else.
func TestSession_profile(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.must(wantStatus(s.admin(http.MethodPut, "/groups/staff/rights", `{"grants":[]}`), 200))
		s.give("sales-1", firstPassword)
		b := s.browser(t)
		b.signIn("sales-1@example.com", firstPassword)
		b.changePassword(firstPassword, ownPassword).want(200, "")
		b.signIn("sales-1@example.com", ownPassword)
		var u api.User
		b.send(http.MethodPatch, "/v1/session/profile", `{"name":"Renamed by himself","menu":[]}`).want(200, "").into(&u)
		if u.ID != "sales-1" || u.Name != "Renamed by himself" || u.Menu == nil || len(u.Menu) != 0 {
			t.Errorf("%+v", u)
		}
		b.send(http.MethodPatch, "/v1/session/profile", `{"name":""}`).want(400, "invalid")
		for _, member := range []string{`"roles":[{"role":"superuser"}]`, `"id":"boss-1"`, `"email":"x@example.com"`, `"status":"active"`, `"attributes":{}`, `"grants":[]`} {
			b.send(http.MethodPatch, "/v1/session/profile", `{`+member+`}`).want(400, "invalid")
		}
		b.send(http.MethodPatch, people+"/users/operator-1", `{"name":"Renamed by another"}`).want(403, "forbidden")
		b.send(http.MethodPatch, people+"/users/sales-1", `{"name":"Renamed the other way"}`).want(403, "forbidden")
	})
}
