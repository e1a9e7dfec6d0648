package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
)

var mailedLink = regexp.MustCompile(`(?m)^https://access\.example\.com/([a-z-]+)\?tenant=shop#token=([A-Za-z0-9_-]{43})$`)

// tokenIn gives the page and the token of the link in a mail.
func tokenIn(t *testing.T, m accesstest.ReceivedMail) (page, token string) {
	t.Helper()
	link := mailedLink.FindStringSubmatch(m.Text)
	if link == nil {
		t.Fatalf("there is no link in\n%s", m.Text)
	}
	return link[1], link[2]
}

func (s shop) redeem(page, token, password string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(http.MethodPost, shopTenant+"/"+page, "", fmt.Sprintf(`{"token":%q,"password":%q}`, token, password))
}

func (s shop) signsIn(email, password string, want int) {
	s.t.Helper()
	w := s.send(http.MethodPost, shopTenant+"/sign-in", "", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	if w.Code != want {
		s.t.Errorf("%s signs in: %d %s, want %d", email, w.Code, w.Body, want)
	}
}

// TestActivate: from an e-mail and a name to somebody who works: invited, mailed,
// a password that breaks the rules costs nothing, the right one counts, and the
// link is used up. (Req 37, 38; U2.)
func TestActivate(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		server := s.mailing()
		s.user(http.MethodPost, "/users", `{"id":"sales-9","email":"Sales-9@example.com","name":"Nine","groups":[{"group":"sales"}],"invite":true}`)
		s.wants(false, "sales-9", "System.Orders", "show")
		page, token := tokenIn(t, server.Wait(t, 1)[0])
		if page != "activate" {
			t.Errorf("the link leads to %s", page)
		}
		s.signsIn("sales-9@example.com", ownPassword, 401)
		if p := s.wantProblem(s.redeem(page, token, "short"), 400, "invalid"); p.Details[0].Field != "password" {
			t.Errorf("%+v", p)
		}
		s.wantProblem(s.redeem("reset-password", token, ownPassword), 404, "not_found")
		for _, wrong := range []string{"", "x", token[:42], token + "A", strings.ToLower(token), strings.Repeat("A", 43)} {
			s.wantProblem(s.redeem(page, wrong, ownPassword), 404, "not_found")
		}
		s.wantProblem(s.send(http.MethodPost, "/v1/tenants/default/activate", "", fmt.Sprintf(`{"token":%q,"password":%q}`, token, ownPassword)), 404, "not_found")
		if w := s.redeem(page, token, ownPassword); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		s.wants(true, "sales-9", "System.Orders", "show")
		s.signsIn("sales-9@example.com", ownPassword, 200)
		s.wantProblem(s.redeem(page, token, "another one that is long"), 404, "not_found")
		u := s.user(http.MethodGet, "/users/sales-9", "")
		if u.Status != "active" || u.Invitation != nil {
			t.Errorf("%+v", u)
		}
		s.wantProblem(s.do(http.MethodPost, "/users/sales-9:resend", ""), 409, "conflict")
		for _, secret := range []string{token, ownPassword} {
			if strings.Contains(s.log.String(), secret) {
				t.Error("a secret stands in the log")
			}
		}
	})
}

// TestActivate_ended: a link is worthless when its day is over, when a newer one
// was sent, when the account was disabled, deleted, or given another e-mail; and
// of many who use it at once one is let in. (U2).
func TestActivate_ended(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		began, later := time.Now(), time.Duration(0)
		var mu sync.Mutex
		s.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return began.Add(time.Since(began) + later) }
		server := s.mailing()
		many := 0
		invite := func(id string) string {
			s.user(http.MethodPost, "/users", fmt.Sprintf(`{"id":%q,"email":"%s@example.com","name":"N","groups":[{"group":"sales"}],"invite":true}`, id, id))
			many++
			_, token := tokenIn(t, server.Wait(t, many)[many-1])
			return token
		}
		for id, end := range map[string]func(at string){
			"disabled": func(at string) { s.user(http.MethodPost, at+":deactivate", "") },
			"deleted":  func(at string) { s.user(http.MethodDelete, at, "") },
			"again":    func(at string) { s.user(http.MethodPost, at+":resend", ""); many++; server.Wait(t, many) },
			"moved": func(at string) {
				s.user(http.MethodPatch, at, `{"email":"elsewhere@example.com"}`)
				many++
				if got := server.Wait(t, many)[many-1]; got.To != "elsewhere@example.com" {
					t.Errorf("the new invitation went to %s", got.To)
				}
			},
		} {
			token := invite(id)
			end("/users/" + id)
			if w := s.redeem("activate", token, ownPassword); w.Code != 404 {
				t.Errorf("%s: %d %s", id, w.Code, w.Body)
			}
		}
		token := invite("raced")
		var won sync.Map
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if w := s.redeem("activate", token, fmt.Sprint(ownPassword, i)); w.Code == 200 {
					won.Store(i, true)
				}
			})
		}
		all.Wait()
		winners := 0
		won.Range(func(i, _ any) bool {
			winners++
			s.signsIn("raced@example.com", fmt.Sprint(ownPassword, i), 200)
			return true
		})
		if winners != 1 {
			t.Errorf("%d have activated one account", winners)
		}
	})
}

// TestActivate_expired: the clock ends a link, wherever it stands.
func TestActivate_expired(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		server := s.mailing()
		create := `{"id":"sales-9","email":"sales-9@example.com","name":"Nine","invite":true}`
		if w := s.send(http.MethodPost, people+"/users", s.root, create); w.Code != 201 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		text := server.Wait(t, 1)[0].Text
		token := regexp.MustCompile(`#token=([A-Za-z0-9_-]{43})`).FindStringSubmatch(text)[1]
		s.forward(24 * time.Hour)
		body := fmt.Sprintf(`{"token":%q,"password":%q}`, token, ownPassword)
		s.wantProblem(s.send(http.MethodPost, people+"/activate", "", body), 404, "not_found")
	})
}

// TestPasswordReset: whoever asks is told nothing; who has an account that is
// active gets a link, which ends sessions and the password of before. (Req 43).
func TestPasswordReset(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		server := s.mailing()
		ask := func(email string) string {
			w := s.send(http.MethodPost, shopTenant+"/password-reset", "", fmt.Sprintf(`{"email":%q}`, email))
			return fmt.Sprint(w.Code, w.Body)
		}
		s.user(http.MethodPost, "/users/root-2:deactivate", "")
		for _, email := range []string{"nobody@example.com", "root-2@example.com", "not an e-mail", " SALES-1@example.COM "} {
			if got := ask(email); got != "204 " {
				t.Errorf("%s: %s", email, got)
			}
		}
		got := server.Wait(t, 1)
		if got[0].To != "Sales-1@example.com" {
			t.Fatalf("%+v", got)
		}
		page, token := tokenIn(t, got[0])
		s.wantProblem(s.redeem("activate", token, ownPassword), 404, "not_found")
		if w := s.redeem(page, token, ownPassword); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		s.signsIn("sales-1@example.com", ownPassword, 200)
		s.wantProblem(s.redeem(page, token, firstPassword), 404, "not_found")
		refused := false
		for range 8 { // far more often than a person would
			w := s.send(http.MethodPost, shopTenant+"/password-reset", "", `{"email":"nobody-else@example.com"}`)
			refused = refused || w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != ""
		}
		if !refused {
			t.Error("a link can be asked for without end")
		}
		if all := server.Mails(); len(all) != 1 {
			t.Errorf("%d mails: %+v", len(all), all)
		}
	})
}

// TestMail_events: somebody whose password an administrator has set, or whose
// e-mail was changed, is told; the mails hold neither password nor link. (Req 43).
func TestMail_events(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		server := s.mailing()
		if w := s.do(http.MethodPut, "/users/sales-1/password", fmt.Sprintf(`{"password":%q}`, firstPassword)); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		first := server.Wait(t, 1)[0]
		s.user(http.MethodPatch, "/users/sales-1", `{"email":"new@example.com"}`)
		second := server.Wait(t, 2)[1]
		if first.To != "Sales-1@example.com" || !strings.Contains(first.Subject, "password") || second.To != "Sales-1@example.com" || !strings.Contains(second.Subject, "e-mail") {
			t.Errorf("%+v and %+v", first, second)
		}
		for _, m := range []accesstest.ReceivedMail{first, second} {
			if strings.Contains(m.Text, firstPassword) || strings.Contains(m.Text, "http") || strings.Contains(m.Text, "new@") {
				t.Errorf("%s", m.Text)
			}
		}
		if waiting, err := s.store.MailsTo(t.Context(), "shop", access.MailPasswordChanged, []string{"sales-1"}); err != nil || len(waiting) != 1 {
			t.Errorf("%+v, %v", waiting, err)
		}
	})
}
