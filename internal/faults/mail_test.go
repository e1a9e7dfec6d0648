package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// mailTimeout is how long the server waits for a mail server, and whoever waits
// for that takes at least as long.
const mailTimeout = 5 * time.Second

// TestTable_mail: whatever becomes of the mail server, users are made at once,
// questions are answered, and replicas are ready; every mail comes when the
// server is back, whichever replica has sent it. (Req 38: SMTP down never blocks
// or loses a user.)
func TestTable_mail(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(*line){
		"down":      (*line).cut,
		"half open": (*line).drop,
		"deaf":      (*line).deaf,
		"slow":      func(l *line) { l.slow(2*time.Second, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := accesstest.NewMailServer(t, accesstest.MailServerOptions{})
			way := newLine(t, fmt.Sprintf("%s:%d", server.Host, server.Port))
			wrong(way)
			host, port, _ := strings.Cut(way.address(), ":")
			w := newRow(t, onMySQL(accesstest.MySQL(t)), "--server-public-url=https://access.example.com", "--mail-server="+host, "--mail-port="+port,
				"--mail-tls=none", "--mail-from=access@example.com", fmt.Sprint("--mail-timeout=", mailTimeout))
			var want []string
			var took []time.Duration
			for i := range 5 {
				mail := fmt.Sprintf("new-%d@example.com", i)
				a := w.replica.do(http.MethodPost, "/v1/tenants/default/users", map[string]any{"email": mail, "name": "New", "invite": true})
				if a.status != http.StatusCreated {
					t.Fatalf("make a user: %s", a)
				}
				want, took = append(want, mail), append(took, a.took)
			}
			w.replica.agrees(w.policy)
			if status, health := w.replica.ready(); status != http.StatusOK || health.Status != "ok" {
				t.Errorf("readiness: %d %+v", status, health)
			}
			t.Logf("users were made within %s", slices.Max(took))
			if slices.Min(took) > mailTimeout {
				t.Errorf("users are made within %s at best: somebody waits for the mail server", slices.Min(took))
			}
			if name == "down" {
				eventually(t, "the status says what is wrong", func() bool {
					var s api.Status
					_ = json.Unmarshal(w.replica.do(http.MethodGet, "/v1/status", nil).body, &s)
					return s.Mail != nil && s.Mail.State == "failing" && s.Mail.Waiting == len(want) && strings.Contains(s.Mail.Trouble, "connect")
				})
			}
			way.mend()
			got := map[string]bool{}
			for deadline := time.Now().Add(patience); len(got) < len(want) && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				for _, m := range server.Mails() {
					got[m.To] = true
				}
			}
			for _, mail := range want {
				if !got[mail] {
					t.Errorf("no mail has come to %s", mail)
				}
			}
		})
	}
}
