package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestDoctor_mail: a mail server that lets us in, one that does not know us, one
// that is not there, and mails that wait for one that was never set.
func TestDoctor_mail(t *testing.T) {
	server := accesstest.NewMailServer(t, accesstest.MailServerOptions{TLS: "starttls", User: "u", Password: "p"})
	s := accesstest.OpenStore(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "b.db")})
	good := config.Mail{Server: server.Host, Port: server.Port, TLS: "starttls", TLSCA: server.Roots, User: "u", Password: "p", From: "a@example.com"}
	wrong, gone := good, good
	wrong.Password, gone.Port = "q", 1
	for name, tc := range map[string]struct {
		cfg  config.Mail
		want string
	}{"answers": {good, checkOK}, "does not know us": {wrong, checkFinding}, "not there": {gone, checkFinding}} {
		d := &doctor{store: s}
		d.mails(t.Context(), tc.cfg)
		if c := only(t, d, "mail"); c.Result != tc.want || (c.Next == "") != (tc.want == checkOK) || strings.Contains(c.What, "\"q\"") {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if d := (&doctor{store: s}); true {
		if d.mails(t.Context(), config.Mail{}); len(d.found.Checks) != 0 {
			t.Errorf("nothing is configured and nothing waits: %+v", d.found)
		}
	}
	if err := s.SendMail(t.Context(), access.Mail{Tenant: "default", User: "u1", To: "u1@example.com", Purpose: access.MailReset}); err != nil {
		t.Fatal(err)
	}
	d := &doctor{store: s}
	d.mails(t.Context(), config.Mail{})
	if c := only(t, d, "mail"); c.Result != checkFinding || !strings.Contains(c.What, "no mail server is set") {
		t.Errorf("%+v", c)
	}
}

// TestStatus_mail: what is wrong with the sending of mails stands in the status.
func TestStatus_mail(t *testing.T) {
	for want, m := range map[string]*api.MailStatus{
		"": nil,
		"2  0  0  off: no mail server is set, and the mails wait": {State: "off", Waiting: 2},
		"3  1  5  failing: nobody answers":                        {State: "failing", Waiting: 3, Failed: 1, Sent: 5, Trouble: "nobody answers"},
		"0  0  7  ok":                                             {State: "ok", Sent: 7},
	} {
		var b strings.Builder
		writeMail(&b, m)
		if got := strings.ReplaceAll(b.String(), "\t", "  "); !strings.HasSuffix(got, want+"\n") && got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
