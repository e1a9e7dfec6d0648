package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/policies"
)

// running is a server that run started in this process.
type running struct {
	out, errs *lockedBuffer
	stop      func() int
}

// patience bounds waits that only a broken program makes long.
const patience = 2 * time.Minute

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start runs the program until its standard output matches ready.
func start(t *testing.T, ready string, args ...string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := running{out: &lockedBuffer{}, errs: &lockedBuffer{}}
	code, ended := 0, make(chan struct{})
	go func() { defer close(ended); code = run(ctx, args, strings.NewReader(""), r.out, r.errs) }()
	r.stop = func() int { cancel(); <-ended; return code }
	t.Cleanup(func() { r.stop() })
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if regexp.MustCompile(ready).MatchString(r.out.String()) {
			return r
		}
		select {
		case <-ended:
			t.Fatalf("%v ended with code %d: %s", args, code, r.errs)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v is not ready: %s", args, r.errs)
		}
	}
}

// TestServe_curlLine: the line that a trial prints is answered with an allow.
func TestServe_curlLine(t *testing.T) {
	server := start(t, `Ctrl-C`, "serve", "--dev", "--listen", "127.0.0.1:0")
	line := regexp.MustCompile(`curl -s (\S+) -H '([^']+)' -H '([^']+)' -d '([^']+)'`).FindStringSubmatch(server.out.String())
	if line == nil {
		t.Fatalf("there is no curl line in %s", server.out)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, line[1], strings.NewReader(line[4]))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range line[2:4] {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var d api.Decision
	if err := json.NewDecoder(answer.Body).Decode(&d); err != nil {
		t.Fatal(err)
	}
	if !d.Allowed || d.Reason != "granted_by" {
		t.Errorf("the ready-made line is answered with %+v", d)
	}
	http.DefaultClient.CloseIdleConnections()
	if code := server.stop(); code != exitFine {
		t.Errorf("the server ended with code %d", code)
	}
}

// TestFilesAndServer_sameBytes puts every question of the sample tenants' own
// tests to the files and to a server.
func TestFilesAndServer_sameBytes(t *testing.T) {
	server := start(t, `"tenants"`, "serve", "--dev", "--listen", "127.0.0.1:0", "-o", "json")
	var ready readyAnswer
	if err := json.Unmarshal([]byte(server.out.String()), &ready); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range policies.Tenants() {
		t.Run(tenant, func(t *testing.T) {
			files, err := policies.FS(tenant)
			if err != nil {
				t.Fatal(err)
			}
			b, err := readBundle(files)
			if err != nil {
				t.Fatal(err)
			}
			paper, err := onPaper(t.Context(), b.Policy.Facts())
			if err != nil {
				t.Fatal(err)
			}
			remote := &api.Client{URL: ready.URL, Key: ready.APIKey, Tenant: tenant}
			asked := 0
			for _, suite := range b.Tests {
				for _, test := range suite.Tests {
					for i := 0; i < len(test.Questions); i += 1 + len(test.Questions)/20 {
						q := wire(test.Questions[i].Request)
						compareAnswers(t, q, paper, remote)
						asked++
					}
				}
			}
			if asked == 0 {
				t.Error("nothing was asked")
			}
		})
	}
}

// compareAnswers: a subject that only the tests know is unknown to both.
func compareAnswers(t *testing.T, q api.Request, a, b *api.Client) {
	t.Helper()
	both := [2]string{}
	for i, r := range []*api.Client{a, b} {
		e, err := r.Explain(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		e.Revision = 0
		var out bytes.Buffer
		writeExplanation(&out, q, e)
		if err := writeJSON(&out, e); err != nil {
			t.Fatal(err)
		}
		d, err := r.Check(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if d.Revision = 0; d.Allowed != e.Allowed || d.Reason != e.Reason {
			t.Errorf("%+v: check says %+v, explain %+v", q, d, e.Decision)
		}
		if err := writeJSON(&out, d); err != nil {
			t.Fatal(err)
		}
		both[i] = out.String()
	}
	if both[0] != both[1] {
		t.Errorf("%+v: files say\n%s\nthe server says\n%s", q, both[0], both[1])
	}
}

func wire(r access.Request) api.Request {
	q := api.Request{
		Subject: r.Subject.String(), Section: string(r.Section), Scope: string(r.Scope),
		SubjectAttributes: r.SubjectAttributes, ActionAttributes: r.ActionAttributes, Context: r.Context,
	}
	if r.Raw != nil {
		return api.Request{Request: r.Raw}
	}
	for _, a := range r.Actions {
		q.Action.Names = append(q.Action.Names, string(a))
	}
	if r.Entity != (access.Entity{}) || r.ResourceAttributes != nil {
		q.Resource = &api.Resource{Type: r.Entity.Type, ID: r.Entity.ID, Attributes: r.ResourceAttributes}
	}
	return q
}

// TestServe_brokenRow: a stored rule that cannot be understood keeps the server
// from starting; it is never left out.
func TestServe_brokenRow(t *testing.T) {
	for name, damage := range map[string]string{
		"effect misspelt":   "UPDATE casbin_rule SET v4 = 'Deny' WHERE id = (SELECT MIN(id) FROM casbin_rule WHERE ptype = 'p' AND v0 <> 'superuser')",
		"rights overflow":   "UPDATE casbin_rule SET v3 = '64' WHERE id = (SELECT MIN(id) FROM casbin_rule WHERE ptype = 'p' AND v0 <> 'superuser')",
		"unknown condition": "UPDATE casbin_rule SET v5 = 'c0123' WHERE id = (SELECT MIN(id) FROM casbin_rule WHERE ptype = 'p' AND v0 <> 'superuser')",
	} {
		t.Run(name, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "bailiwick.db")
			runOnce(t, exitFine, "policy", "load", "../../policies/default", "--store-dsn", dsn)
			execute(t, dsn, damage)
			said := runOnce(t, exitFailed, "serve", "--listen", "127.0.0.1:0", "--store-dsn", dsn, "--log-level", "error")
			lines := strings.Split(strings.TrimSpace(said), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "bailiwick: ") || !strings.Contains(last, `"default"`) {
				t.Errorf("it says %q", last)
			}
		})
	}
}

// runOnce runs the program to its end and gives what it wrote to standard error.
func runOnce(t *testing.T, want int, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var errs bytes.Buffer
	if code := run(ctx, args, strings.NewReader(""), io.Discard, &errs); code != want {
		t.Fatalf("%v ended with code %d, want %d: %s", args, code, want, errs.String())
	}
	return errs.String()
}

// execute changes a database behind the program's back, by the driver that the
// store has registered.
func execute(t *testing.T, dsn, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	done, err := db.ExecContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := done.RowsAffected(); n != 1 || err != nil {
		t.Fatalf("%d rows changed, %v", n, err)
	}
}

// TestServe_portTaken: the trial moves on to the next free port where nobody
// asked for this one, and says so; a configured port is not second-guessed.
func TestServe_portTaken(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var errs bytes.Buffer
	c := &cli{err: &errs}
	s := serving{dev: true, portIsOurs: true}
	s.config.Server.Listen = taken.Addr().String()
	l, err := c.listen(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if want := fmt.Sprintf("%s is taken; listening on %s\n", taken.Addr(), l.Addr()); errs.String() != want {
		t.Errorf("it says %q, want %q", errs.String(), want)
	}
	for _, s := range []serving{{dev: true}, {portIsOurs: true}} {
		s.config.Server.Listen = taken.Addr().String()
		if l, err := c.listen(t.Context(), s); err == nil {
			t.Errorf("%+v: listening on %s", s, l.Addr())
			_ = l.Close()
		}
	}
}

// TestServe_metricsApart: a second listener has the measurements, and the first
// one has not.
func TestServe_metricsApart(t *testing.T) {
	server := start(t, `"tenants"`, "serve", "--dev", "--listen", "127.0.0.1:0", "--server-metrics-listen", "127.0.0.1:0", "-o", "json")
	said := regexp.MustCompile(`measurements are served apart.*(127\.0\.0\.1:\d+)`).FindStringSubmatch(server.errs.String())
	if said == nil {
		t.Fatalf("it does not say where: %s", server.errs)
	}
	apart := said[1]
	var ready readyAnswer
	if err := json.Unmarshal([]byte(server.out.String()), &ready); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]int{
		"http://" + apart + "/metrics":    http.StatusOK,
		"http://" + apart + "/readyz":     http.StatusOK,
		"http://" + apart + "/v1/tenants": http.StatusNotFound,
		ready.URL + "/metrics":            http.StatusNotFound,
		ready.URL + "/readyz":             http.StatusOK,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s answers with %d, want %d", url, answer.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
