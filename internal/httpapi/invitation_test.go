package httpapi_test

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/mail"
	"github.com/bailiwick/bailiwick/internal/service"
)

func init() {
	const bob, at = "/v1/tenants/default/users/bob", "/v1/tenants/{tenant}/users/{id}"
	maps.Copy(matrix, map[string]entry{
		"POST " + at + ":invite": {need: access.KeyAdmin, path: bob + ":invite", status: 409},
		"POST " + at + ":resend": {need: access.KeyAdmin, path: bob + ":resend", status: 409},

		"POST /v1/tenants/{tenant}/password-reset": {body: `{"email":"nobody-%d@example.com"}`, status: 204},
	})
}

var handedOut = regexp.MustCompile(`^https://access\.example\.com/activate\?tenant=shop#token=([A-Za-z0-9_-]{43})$`)

// TestInvite_withoutMailServer: an account is made and waits; whoever made it gets
// the link once, may be allowed nothing yet, and a later link ends this one. (Req
// 37 and 38: add by e-mail and name, resend, pending state visible.)
func TestInvite_withoutMailServer(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		u := s.user(http.MethodPost, "/users", `{"id":"sales-9","email":"sales-9@example.com","name":"Nine","groups":[{"group":"sales"}],"invite":true}`)
		if u.Status != "invited" || u.Invitation == nil || u.Invitation.Mail != "waiting" || u.Invitation.InvitedAt.IsZero() || !handedOut.MatchString(u.Invitation.Link) {
			t.Fatalf("%+v %+v", u, u.Invitation)
		}
		s.wants(false, "sales-9", "System.Orders", "show")
		if ids := s.ids("?page_size=1"); ids[0] != "sales-9" {
			t.Errorf("the list begins with %s", ids)
		}
		for _, shown := range []api.User{s.user(http.MethodGet, "/users/sales-9", ""), s.list("?status=invited").Users[0]} {
			if shown.Invitation == nil || shown.Invitation.Link != "" || shown.Invitation.Mail != "waiting" || !shown.Invitation.InvitedAt.Equal(u.Invitation.InvitedAt) {
				t.Errorf("%+v", shown.Invitation)
			}
		}
		again := s.user(http.MethodPost, "/users/sales-9:resend", `{"reason":"lost"}`)
		for i, link := range []string{u.Invitation.Link, again.Invitation.Link} {
			hash, _ := service.HashOf(handedOut.FindStringSubmatch(link)[1])
			if _, err := s.store.TakeToken(context.Background(), "shop", access.PurposeActivate, hash); (err == nil) != (i == 1) {
				t.Errorf("link %d: %v", i, err)
			}
		}
		if strings.Contains(s.log.String(), handedOut.FindStringSubmatch(again.Invitation.Link)[1]) {
			t.Error("the link stands in the log")
		}
	})
}

// TestInvite_refused: bad input has its status and leaves nothing, neither account
// nor mail.
func TestInvite_refused(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		before := s.state()
		for _, c := range []struct {
			path, body  string
			status      int
			code, field string
		}{
			{"/users", `{"email":"nobody","name":"N","invite":true}`, 400, "invalid", "email"},
			{"/users", `{"name":"N","invite":true}`, 400, "invalid", "email"},
			{"/users", `{"email":"SALES-1@example.com","name":"N","invite":true}`, 409, "exists", "email"},
			{"/users", `{"email":"n@example.com","name":"N","invite":true,"status":"active"}`, 400, "invalid", "status"},
			{"/users", `{"email":"n@example.com","name":"N","invite":"yes"}`, 400, "invalid", "invite"},
			{"/users", `{"email":"n@example.com","name":"N","invite":true,"groups":[{"group":"nowhere"}]}`, 400, "invalid", "groups[0]"},
			{"/users/sales-1:invite", `{}`, 409, "conflict", "status"},
			{"/users/sales-1:resend", `{}`, 409, "conflict", "status"},
			{"/users/nobody:invite", `{}`, 404, "not_found", ""},
		} {
			p := s.wantProblem(s.do(http.MethodPost, c.path, c.body), c.status, c.code)
			if c.field != "" && p.Details[0].Field != c.field {
				t.Errorf("%s %s: field %q", c.path, c.body, p.Details[0].Field)
			}
		}
		if s.state() != before {
			t.Error("something was changed")
		}
		if c, err := s.store.CountMail(context.Background()); err != nil || c.Waiting != 0 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// mailing lets a house send mails to a server of its own.
func (s *house) mailing() *accesstest.MailServer {
	s.t.Helper()
	server := accesstest.NewMailServer(s.t, accesstest.MailServerOptions{})
	sender, err := mail.New(mail.Options{Server: server.Host, Port: server.Port, Security: mail.None, From: "Shop <access@example.com>"})
	s.must(err)
	mails := service.NewMails(s.store, service.MailsOptions{Postman: sender, PublicURL: "https://access.example.com", Service: "Shop", Clock: func() time.Time { return s.now() }})
	s.options.Directory = service.NewDirectory(s.store, s.engine, s.authority, s.follower, service.DirectoryOptions{Mails: mails})
	s.options.Accounts = service.NewAccounts(s.store, s.options.Directory, service.AccountsOptions{
		Log: s.options.Log, Clock: s.options.Clock, Hashing: service.HashingOptions{Memory: 64, Passes: 1},
	})
	s.server, err = httpapi.NewServer(s.options)
	s.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); mails.Run(ctx) }()
	s.t.Cleanup(func() { cancel(); <-done })
	return server
}

// TestInvite_mail: the account shows how far the mail has come, until it was sent
// or given up; the link is in the mail alone. A Host header leads nobody astray.
func TestInvite_mail(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		server := s.mailing()
		w := s.send(http.MethodPost, shopTenant+"/users", s.root, `{"id":"sales-9","email":"sales-9@example.com","name":"Nine","groups":[{"group":"sales"}],"invite":true}`,
			"Host", "evil.example.com", "X-Forwarded-Host", "evil.example.com")
		if u := decode[api.User](t, w); u.Invitation.Link != "" {
			t.Errorf("%+v", u.Invitation)
		}
		got := server.Wait(t, 1)[0]
		if strings.Contains(got.Text, "evil") || !strings.Contains(got.Text, "https://access.example.com/activate?tenant=shop#token=") {
			t.Errorf("%s", got.Text)
		}
		for deadline := time.Now().Add(never); ; time.Sleep(5 * time.Millisecond) {
			i := s.user(http.MethodGet, "/users/sales-9", "").Invitation
			if i.Mail == "sent" && !i.ExpiresAt.IsZero() && !i.SettledAt.IsZero() {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%+v", i)
			}
		}
	})
}
