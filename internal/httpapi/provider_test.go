package httpapi_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/oidc"
	"github.com/bailiwick/bailiwick/internal/service"
)

func init() {
	const at, nowhere = "/v1/tenants/{tenant}/sign-in/providers", "/v1/tenants/default/sign-in/providers/nowhere"
	maps.Copy(matrix, map[string]entry{
		"GET " + at:                          {},
		"GET " + at + "/{provider}":          {path: nowhere, status: 404},
		"GET " + at + "/{provider}/callback": {path: nowhere + "/callback", status: 404},
	})
}

const corporate = shopTenant + "/sign-in/providers/corporate"

// elsewhere is a shop whose people can sign in at a real OpenID provider.
type elsewhere struct {
	shop
	provider *accesstest.OpenIDProvider
}

func (s shop) elsewhere(change func(*service.Provider)) elsewhere {
	s.t.Helper()
	back := "https://access.example.com" + corporate + "/callback"
	e := elsewhere{s, accesstest.NewOpenIDProvider(s.t, back)}
	client, err := oidc.New(oidc.Options{
		Issuer: e.provider.Issuer, ClientID: e.provider.Client, ClientSecret: e.provider.Password, RedirectURL: back,
		Scopes: []string{"profile", "email"}, GroupsClaim: "realm.groups",
	})
	s.must(err)
	p := service.Provider{
		Tenant: "shop", Code: "corporate", Name: "Company account", OpenID: client, ByEmail: true,
		Groups: map[string]string{"staff": "support", "traders": "sales", "ghosts": "nowhere"},
	}
	if change != nil {
		change(&p)
	}
	s.options.Accounts.Trust([]service.Provider{p})
	return e
}

// begins sends a browser to the provider, and gives the way back and the cookie
// that it keeps.
func (e elsewhere) begins() (back, cookie string) { return e.beginsAt("") }

func (e elsewhere) beginsAt(store string) (back, cookie string) {
	e.t.Helper()
	path := corporate
	if store != "" {
		path += "?store=" + store
	}
	w := e.send(http.MethodGet, path, "", "")
	if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), e.provider.Issuer+"/authorize?") {
		e.t.Fatalf("%d %s %s", w.Code, w.Header(), w.Body)
	}
	set := w.Result().Cookies()
	if len(set) != 1 || !set[0].HttpOnly || !set[0].Secure || set[0].SameSite != http.SameSiteLaxMode || !strings.HasPrefix(set[0].Name, "__Host-") {
		e.t.Fatalf("%+v", set)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, w.Header().Get("Location"), nil)
	e.must(err)
	answer, err := client.Do(r)
	e.must(err)
	defer answer.Body.Close()
	there, err := url.Parse(answer.Header.Get("Location"))
	e.must(err)
	if there.Query().Get("code") == "" {
		e.t.Fatalf("%d %s", answer.StatusCode, answer.Header)
	}
	return there.Path + "?" + there.RawQuery, set[0].Name + "=" + set[0].Value
}

// comes signs in, being what the provider says.
func (e elsewhere) comes(claims map[string]any) *httptest.ResponseRecorder {
	e.t.Helper()
	return e.comesTo("", claims)
}

// comesTo signs in by the page of a store.
func (e elsewhere) comesTo(store string, claims map[string]any) *httptest.ResponseRecorder {
	e.t.Helper()
	e.provider.Says(e.t, claims)
	back, cookie := e.beginsAt(store)
	return e.send(http.MethodGet, back, "", "", "Cookie", cookie)
}

// is tells who has signed in.
func (e elsewhere) is(w *httptest.ResponseRecorder) string {
	e.t.Helper()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		e.t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, c := range w.Result().Cookies() {
		if c.Name == "__Host-bailiwick" && c.Value != "" {
			return decode[api.SignedIn](e.t, e.send(http.MethodGet, "/v1/session", "", "", "Cookie", c.Name+"="+c.Value)).User
		}
	}
	e.t.Fatal("there is no session")
	return ""
}

func (e elsewhere) refused(what string, w *httptest.ResponseRecorder) {
	e.t.Helper()
	if w.Code != http.StatusUnauthorized || strings.Contains(strings.Join(w.Header()["Set-Cookie"], ""), "__Host-bailiwick=") {
		e.t.Errorf("%s: %d %s", what, w.Code, w.Body)
	}
}

func claims(sub, email string, verified any, groups ...string) map[string]any {
	return map[string]any{"sub": sub, "email": email, "email_verified": verified, "name": "Named " + sub, "realm": map[string]any{"groups": groups}}
}

// TestOpenID: people sign in at a real provider. Groups with a rule follow what
// it says, others stay, and all of it is recorded as the provider's. (Req 109).
func TestOpenID(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		e := s.elsewhere(nil)
		groups := func(want ...string) {
			t.Helper()
			if got := groupsOf(e.user(http.MethodGet, "/users/sales-1", "")); !slices.Equal(got, want) {
				t.Errorf("groups are %v, want %v", got, want)
			}
		}
		e.user(http.MethodPost, "/users/sales-1/groups:add", `{"groups":[{"group":"new"}]}`)
		if who := e.is(e.comes(claims("s1", "SALES-1@example.com", true, "staff", "unheard-of", "ghosts"))); who != "sales-1" {
			t.Errorf("signed in as %s", who)
		}
		groups("new", "support")
		all := decode[api.Revisions](t, e.send(http.MethodGet, shopTenant+"/revisions", e.root, "")).Revisions
		if last := all[0]; last.Source != "oidc" || last.Author != "oidc:corporate" {
			t.Errorf("%+v", last)
		}
		e.is(e.comes(claims("s1", "sales-1@example.com", true, "traders", "staff")))
		groups("new", "support", "sales")
		e.is(e.comes(map[string]any{"sub": "s1"})) // says nothing of groups
		groups("new", "support", "sales")
		e.is(e.comes(claims("s1", "sales-1@example.com", true)))
		groups("new")
		if who := e.is(e.comes(claims("s1", "root@example.com", true))); who != "sales-1" {
			t.Errorf("with another one's e-mail he is %s", who)
		}
		list := decode[api.Providers](t, e.send(http.MethodGet, shopTenant+"/sign-in/providers", "", "")).Providers
		if len(list) != 1 || list[0].Link != corporate || list[0].Name != "Company account" {
			t.Errorf("%+v", list)
		}
	})
}

// TestOpenID_refused: nobody comes in by an e-mail that was not verified, as
// somebody who is linked with another one, nor where there is no account or a
// disabled one; and nobody else than who was sent.
func TestOpenID_refused(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		e := s.elsewhere(nil)
		for _, verified := range []any{false, nil, "yes", 1} {
			e.refused("not verified", e.comes(claims("s1", "sales-1@example.com", verified)))
		}
		e.refused("no account", e.comes(claims("s2", "stranger@example.com", true)))
		e.is(e.comes(claims("s1", "sales-1@example.com", true)))
		e.refused("somebody else", e.comes(claims("s3", "sales-1@example.com", true)))
		before := e.state()
		e.user(http.MethodPost, "/users/sales-1:deactivate", "")
		disabled := e.state()
		e.refused("disabled", e.comes(claims("s1", "sales-1@example.com", true, "staff")))
		if e.state() != disabled || before == disabled {
			t.Error("who was refused has changed something")
		}
		e.user(http.MethodPost, "/users/sales-1:activate", "")

		other := strings.Repeat("A", 43)
		for what, change := range map[string]func(kept []string){
			"no cookie":        func(kept []string) { clear(kept) },
			"another browser":  func(kept []string) { kept[0] = other },
			"another nonce":    func(kept []string) { kept[1] = other },
			"another verifier": func(kept []string) { kept[2] = other },
			"another provider": func(kept []string) { kept[4] = "elsewhere" },
		} {
			back, cookie := e.begins()
			name, value, _ := strings.Cut(cookie, "=")
			kept := strings.Split(value, ".")
			change(kept)
			e.refused(what, e.send(http.MethodGet, back, "", "", "Cookie", name+"="+strings.Join(kept, ".")))
		}
		back, cookie := e.begins()
		e.is(e.send(http.MethodGet, back, "", "", "Cookie", cookie))
		e.refused("the same code again", e.send(http.MethodGet, back, "", "", "Cookie", cookie))
		e.refused("the provider refused", e.send(http.MethodGet, corporate+"/callback?error=access_denied&state="+other, "", "", "Cookie", cookie))
	})
}

// TestOpenID_settings: strangers get accounts where that is set, and the e-mail is
// no proof where it is not.
func TestOpenID_settings(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		e := s.elsewhere(func(p *service.Provider) { p.ByEmail, p.Create = false, true })
		e.refused("by e-mail", e.comes(claims("s1", "sales-1@example.com", true)))
		who := e.is(e.comes(claims("s2", "stranger@example.com", true, "traders")))
		made := e.user(http.MethodGet, "/users/"+who, "")
		if made.Email != "stranger@example.com" || made.Name != "Named s2" || made.Status != "active" {
			t.Errorf("%+v", made)
		}
		e.wants(true, who, "System.Orders", "show")
		if again := e.is(e.comes(claims("s2", "other@example.com", true))); again != who {
			t.Errorf("the second time he is %s, not %s", again, who)
		}
		e.wants(false, who, "System.Orders", "show")
	})
}

// TestOpenID_start: without issuer or audience nothing begins.
func TestOpenID_start(t *testing.T) {
	for what, o := range map[string]oidc.Options{
		"issuer":   {ClientID: "a", RedirectURL: "https://b"},
		"audience": {Issuer: "https://a", RedirectURL: "https://b"},
		"redirect": {Issuer: "https://a", ClientID: "a"},
	} {
		if _, err := oidc.New(o); err == nil {
			t.Errorf("%s is not missed", what)
		}
	}
}

// Req 48: a provider that no longer says that the last superuser is one does not
// make the tenant one without, and whoever is refused for it is not told why.
func TestOpenID_lastSuperuser(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		e := s.elsewhere(func(p *service.Provider) { p.Groups = map[string]string{"chiefs": "chiefs"} })
		e.must(wantStatus(e.send(http.MethodPost, shopTenant+"/groups", e.root, `{"code":"chiefs","name":"Chiefs","roles":[{"role":"superuser"}]}`), 201))
		e.user(http.MethodPost, "/users/sales-1/groups:add", `{"groups":[{"group":"chiefs"}]}`)
		e.is(e.comes(claims("s1", "sales-1@example.com", true, "chiefs")))
		e.user(http.MethodPost, "/users/root-2:deactivate", "")
		e.user(http.MethodPost, "/users/root:deactivate", "")
		w := e.comes(claims("s1", "sales-1@example.com", true))
		e.refused("the last superuser", w)
		if strings.Contains(w.Body.String(), "superuser") || !slices.Contains(groupsOf(e.user(http.MethodGet, "/users/sales-1", "")), "chiefs") {
			t.Errorf("%s", w.Body)
		}
		e.user(http.MethodPost, "/users/root:activate", "")
		e.is(e.comes(claims("s1", "sales-1@example.com", true)))
	})
}
