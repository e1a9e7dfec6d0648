package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/accesstest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bailiwick": main})
}

// TestScripts runs testdata/script: what is typed, and what comes of it. With
// UPDATE_SCRIPTS=1 in the environment, compared files are written anew.
//
// Beside the usual commands, scripts know
//
//	code N COMMAND ARGS...   run a command, which must end with exit code N
//	server NAME ARGS...      start "bailiwick serve -o json ARGS..."; its address and
//	                         key stand in the environment when it is ready
//	end NAME                 end that server as a terminal would; it must end well. There is
//	                         a "stop" already, which leaves the rest of a script out
//	crash NAME               end it without a chance to clean up
//	revoke TENANT            revoke the only key of a tenant
//	empty DIR                the folder must hold nothing
//	sql STATEMENT            do to the database in $BAILIWICK_STORE_DSN what nobody should
//	api METHOD PATH [BODY]   send JSON to the server, which must answer well
//	key FILE                 use the API key in a file from here on
//	typed PAGE HEADING FILE  write what is typed below the heading of a page in docs into a file
//	mysql                    put the DSN of a fresh MySQL database into $MYSQL
//	job FILE JOB             run a job of a CI file as its runner would, in bash, without its installation
//	note FILE                listen at $NOTES for what is posted there, and keep the last of it in the file
//	database                 use a fresh database, with the schema and a key for it. Scripts that
//	                         say so run over SQLite and over MySQL
//
// With go test -race all programs here are race-built, servers and commands: a
// race that one of them finds ends it with code 66. Such a program waits a
// second before it ends, for goroutines that run on. Servers do; commands have
// none, and end at once, or most of the time of these tests would be waiting.
func TestScripts(t *testing.T) { runScripts(t, "", filepath.Join(scripts, "*.txtar")) }

// TestScripts_mysql runs those scripts over MySQL that do not say what they run over.
func TestScripts_mysql(t *testing.T) {
	all, err := filepath.Glob(filepath.Join(scripts, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	runScripts(t, "mysql", slices.DeleteFunc(all, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && !bytes.Contains(text, []byte("\ndatabase\n"))
	})...)
}

const scripts = "testdata/script"

func runScripts(t *testing.T, driver string, paths ...string) {
	t.Helper()
	var files []string
	for _, path := range paths {
		found, err := filepath.Glob(path)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: no scripts (%v)", path, err)
		}
		files = append(files, found...)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			policies, err := filepath.Abs("../../policies")
			env.Setenv("POLICIES", policies)
			env.Setenv("CONF", filepath.Join(filepath.Dir(policies), "conf"))
			env.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
			env.Values[serversKey{}] = servers{}
			env.Values[testKey{}] = t
			env.Values[driverKey{}] = driver
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":     expectCode,
			"server":   startServer,
			"end":      endServer,
			"crash":    crashServer,
			"revoke":   revokeKey,
			"empty":    emptyFolder,
			"mysql":    freshMySQL,
			"typed":    typed,
			"api":      callAPI,
			"key":      useKey,
			"sql":      statement,
			"database": freshDatabase,
			"job":      runJob,
			"note":     takeNotes,
		},
	})
}

type (
	serversKey struct{}
	testKey    struct{}
	driverKey  struct{}
	servers    map[string]*exec.Cmd
)

// typed takes the first block of shell lines below a heading, so that a page
// cannot say what does not work.
func typed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: typed PAGE HEADING FILE")
	}
	page, err := os.ReadFile(filepath.Join(filepath.Dir(ts.Getenv("POLICIES")), "docs", args[0]))
	ts.Check(err)
	_, below, found := strings.Cut(string(page), "## "+args[1]+"\n")
	_, block, begun := strings.Cut(below, "```sh\n")
	block, _, ended := strings.Cut(block, "```\n")
	if !found || !begun || !ended {
		ts.Fatalf("%s has no shell lines below %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(block), 0o600))
}

func expectCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// startServer waits until the server has printed its line, and makes it the
// one that later commands talk to.
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: server NAME ARGS...")
	}
	cmd := exec.Command("bailiwick", append([]string{"serve", "-o", "json", "--listen", "127.0.0.1:0"}, args[1:]...)...)
	path, err := exec.LookPath("bailiwick")
	ts.Check(err)
	cmd.Path, cmd.Err = path, nil
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "BAILIWICK_API_KEY=", "TMPDIR="+ts.Getenv("TMPDIR"))
	for _, name := range []string{"BAILIWICK_STORE_DRIVER", "BAILIWICK_STORE_DSN"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() { _ = end(cmd, os.Kill) }) // it may have ended long ago
	ts.Value(serversKey{}).(servers)[args[0]] = cmd

	var ready struct {
		URL string `json:"url"`
		Key string `json:"api_key"`
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		_ = cmd.Wait()
		ts.Fatalf("the server did not start: %v\n%s", err, stderr.String())
	}
	ts.Check(json.Unmarshal(line, &ready))
	ts.Setenv("BAILIWICK_SERVER", ready.URL)
	ts.Setenv("ADDRESS", strings.TrimPrefix(ready.URL, "http://"))
	if ready.Key != "" {
		ts.Setenv("BAILIWICK_API_KEY", ready.Key)
	}
}

// callAPI is what a console does.
func callAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: api METHOD PATH [BODY]")
	}
	body := strings.NewReader(strings.Join(args[2:], ""))
	r, err := http.NewRequestWithContext(context.Background(), args[0], ts.Getenv("BAILIWICK_SERVER")+args[1], body)
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+ts.Getenv("BAILIWICK_API_KEY"))
	if body.Len() > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if answer.StatusCode/100 != 2 {
		ts.Fatalf("%d %s", answer.StatusCode, text)
	}
	_, _ = fmt.Fprintf(ts.Stdout(), "%s\n", text)
}

func useKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: key FILE")
	}
	ts.Setenv("BAILIWICK_API_KEY", strings.TrimSpace(ts.ReadFile(args[0])))
}

func endServer(ts *testscript.TestScript, neg bool, args []string) {
	if err := end(named(ts, neg, args), os.Interrupt); err != nil {
		ts.Fatalf("the server did not end well: %v", err)
	}
}

func crashServer(ts *testscript.TestScript, neg bool, args []string) {
	if err := end(named(ts, neg, args), os.Kill); err == nil {
		ts.Fatalf("the server had ended before it was killed")
	}
}

func named(ts *testscript.TestScript, neg bool, args []string) *exec.Cmd {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stop NAME or crash NAME")
	}
	cmd := ts.Value(serversKey{}).(servers)[args[0]]
	if cmd == nil {
		ts.Fatalf("no server is called %s", args[0])
	}
	return cmd
}

// end sends the signal and waits; what does not end at all is killed.
func end(cmd *exec.Cmd, signal os.Signal) error {
	if cmd.ProcessState != nil {
		return nil
	}
	_ = cmd.Process.Signal(signal)
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	return cmd.Wait()
}

// revokeKey finds the key's id, which differs from run to run.
func revokeKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: revoke TENANT")
	}
	ts.Check(ts.Exec("bailiwick", "apikey", "list", "--tenant", args[0], "-o", "json"))
	var list api.Keys
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	if len(list.Keys) != 1 {
		ts.Fatalf("tenant %s has %d keys, want 1", args[0], len(list.Keys))
	}
	ts.Check(ts.Exec("bailiwick", "apikey", "revoke", list.Keys[0].ID, "--tenant", args[0]))
}

func emptyFolder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: empty DIR")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s holds %s", args[0], entries[0])
	}
}

// statement changes at least one row of the database behind everybody's back.
func statement(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sql STATEMENT")
	}
	driver, dsn := "mysql", ts.Getenv("BAILIWICK_STORE_DSN")
	if dsn != ts.Getenv("MYSQL") {
		driver, dsn = "sqlite", ts.MkAbs(dsn)
	}
	db, err := sql.Open(driver, dsn)
	ts.Check(err)
	defer db.Close()
	done, err := db.Exec(args[0])
	ts.Check(err)
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		ts.Fatalf("%s met no row (%v)", args[0], err)
	}
}

func freshDatabase(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: database")
	}
	ts.Setenv("BAILIWICK_STORE_DSN", ts.MkAbs("mine.db"))
	if ts.Value(driverKey{}) == "mysql" {
		freshMySQL(ts, neg, args)
		ts.Setenv("BAILIWICK_STORE_DSN", ts.Getenv("MYSQL"))
	}
	ts.Check(ts.Exec("bailiwick", "migrate", "up"))
	ts.Check(ts.Exec("bailiwick", "apikey", "create", "--tenant", "*", "--kind", "admin", "--name", "operator"))
	ts.Setenv("BAILIWICK_API_KEY", strings.TrimSpace(ts.ReadFile("stdout")))
}

func freshMySQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: mysql")
	}
	ts.Setenv("MYSQL", accesstest.MySQL(ts.Value(testKey{}).(*testing.T)))
}
