package faults_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestKill_history: a replica is killed while it applies a plan, goes
// back, reverses a revision, registers a catalogue, imports a table or makes a
// group: at some moment, at a chosen statement of the write, and between the
// commit and its answer. The store holds a whole revision, the old one or the
// new one; whatever was acknowledged is there; verify and doctor find nothing;
// the next start serves; and the same request sent again is made once.
func TestKill_history(t *testing.T) { killHistoryOnEach(t, 25) }

// TestSoakKillHistory is TestKill_history for long.
func TestSoakKillHistory(t *testing.T) {
	soak(t)
	killHistoryOnEach(t, 250)
}

func killHistoryOnEach(t *testing.T, rounds int) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(*testing.T) *site{
		"mysql": func(t *testing.T) *site {
			t.Helper()
			s := newSite(t, onMySQL(accesstest.MySQL(t)))
			s.tap = newTap(t)
			return s
		},
		"sqlite": func(t *testing.T) *site {
			t.Helper()
			return newSite(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHistorian(t, open(t))
			for range rounds {
				h.round()
			}
			t.Logf("%d rounds, %d changes acknowledged; cut off: %d were there, %d were not; killed %v", rounds, h.acknowledged, h.there, h.notThere, h.moments)
			if h.tap != nil {
				t.Logf("at %v of up to %d statements", h.tap.killed, h.tap.longest)
			}
			if h.acknowledged < rounds || h.there == 0 || h.notThere == 0 {
				t.Error("it is killed too early, or always at the same moment")
			}
		})
	}
}

// chapter is what a revision is to hold.
type chapter struct {
	staff
	shop   int // how often the application was renamed
	groups int // further groups
}

// files writes it as a bundle.
func (c chapter) files() map[string]string {
	files := c.policy().Files
	files["catalogue/shop.yaml"] = strings.Replace(files["catalogue/shop.yaml"], "name: Shop\n", fmt.Sprintf("name: Shop %d\n", c.shop), 1)
	for i := range c.groups {
		files[fmt.Sprintf("groups/more-%d.yaml", i)] = fmt.Sprintf("apiVersion: bailiwick/v1\nkind: Group\ncode: more-%d\nname: More %d\n", i, i)
	}
	return files
}

func policyIn(t testing.TB, files map[string]string) *access.Policy {
	t.Helper()
	tree := fstest.MapFS{}
	for path, text := range files {
		tree[path] = &fstest.MapFile{Data: []byte(text)}
	}
	read, err := bundle.Read(tree, bundle.Options{ModelOf: engine.ModelOf})
	if err != nil {
		t.Fatal(err)
	}
	return &read.Policy
}

// sending is a change on its way, and what holds when it has arrived.
type sending struct {
	what   string
	next   chapter
	people int // accounts that it imports
	send   func(*replica) answer
	keyed  bool // it can be sent again, and is made once
}

// patiently sends it until it is decided on: where the machine is slow, nothing
// may have been written.
func (s sending) patiently(r *replica) answer {
	a := s.send(r)
	for a.status == http.StatusServiceUnavailable && a.code == "unavailable" {
		a = s.send(r)
	}
	return a
}

// historian writes one change after the other, so that it knows what each
// revision holds.
type historian struct {
	*site
	chapters map[uint64]chapter // by revision
	kinds    map[uint64]string  // what made it
	head     uint64             // newest that was acknowledged, or is known to be there
	people   int                // accounts that were imported
	last     sending            // the last acknowledged change that can be sent again
	said     answer             // and its answer

	cut      sending // the change that was cut off
	done     bool    // and whether it is there
	auditKey string

	acknowledged, there, notThere, sent int
	rounds                              int
	answers                             atomic.Int64
	deafAfter                           int // the client hears no answer to the change after that many
	moments                             map[string]int
}

func newHistorian(t *testing.T, s *site) *historian {
	t.Helper()
	h := &historian{site: s, chapters: map[uint64]chapter{}, kinds: map[uint64]string{}, moments: map[string]int{}}
	key := filepath.Join(t.TempDir(), "audit.key")
	if out, err := exec.Command(program(t), "keys", "audit", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.auditKey = key
	s.flags = append(s.flags, "--audit-signing-key="+key)
	r := s.start()
	first := chapter{staff: everybody()}
	a := r.do(http.MethodPut, "/v1/tenants/default/policy", api.Policy{Files: first.files()})
	var loaded api.PolicyLoaded
	if a.status != http.StatusOK || json.Unmarshal(a.body, &loaded) != nil {
		t.Fatal(a)
	}
	h.head = loaded.Revision
	h.chapters[h.head], h.kinds[h.head] = first, "apply"
	for range 8 { // each kind of change, so that all of them are known to work
		if !h.write(r) {
			t.Fatal("nobody has killed it")
		}
	}
	h.cut, h.done = h.makeGroup(), false
	r.kill()
	return h
}

func (h *historian) now() chapter { return h.chapters[h.head] }

// round starts a replica, writes until it is killed, and looks at what is left.
func (h *historian) round() {
	h.t.Helper()
	r := h.start()
	h.serves(r)
	h.again(r)
	h.deafAfter = -1
	kill := []func(*replica) string{h.killSometime, h.killAtStatement, h.killOnceStored}[h.rounds%3]
	h.rounds++
	h.moments[kill(r)]++
	for h.write(r) {
	}
	_ = r.cmd.Wait()
	h.clean()
	h.settle()
	h.proved()
}

// write sends the next change and notes its answer; false when there is none.
func (h *historian) write(r *replica) bool {
	h.t.Helper()
	s := h.choose()
	if h.deafAfter--; h.deafAfter == 0 {
		h.cut = s
		h.killStored(r)
		return false
	}
	a := s.send(r)
	if a.status == http.StatusServiceUnavailable && a.code == "unavailable" {
		return true // the machine is slow, and nothing was written
	}
	if a.status == 0 || a.err != nil || a.code == "outcome_unknown" {
		r.signal(syscall.SIGKILL)
		h.cut = s
		return false
	}
	if a.status/100 != 2 {
		h.t.Fatalf("%s on top of revision %d: %s", s.what, h.head, a)
	}
	h.acknowledged++
	h.answers.Add(1)
	h.arrived(s)
	if s.keyed {
		h.last, h.said = s, a
	}
	return true
}

// arrived notes that a change is there.
func (h *historian) arrived(s sending) {
	h.head++
	h.chapters[h.head], h.kinds[h.head] = s.next, s.what
	h.people += s.people
}

// choose makes up the next change.
func (h *historian) choose() sending {
	h.sent++
	switch h.sent % 8 {
	case 1, 5:
		return h.apply()
	case 2:
		return h.rename()
	case 3:
		return h.importPeople()
	case 4, 0:
		return h.makeGroup()
	case 6:
		return h.rollback()
	default:
		return h.revert()
	}
}

const administered = "/v1/tenants/default"

// apply plans files and applies that plan.
func (h *historian) apply() sending {
	next := h.now()
	user := rand.IntN(len(next.in))
	next.in[user], next.role = !next.in[user], rand.IntN(2) == 0
	next.shop, next.groups = next.shop+1, rand.IntN(4)
	files, base := next.files(), h.head
	return sending{what: "apply", next: next, send: func(r *replica) answer {
		a := r.do(http.MethodPost, administered+"/policy:plan", api.PolicyPlanAsked{Files: files, BaseRevision: base})
		var plan api.PolicyPlan
		if a.status != http.StatusOK || a.err != nil {
			return a
		}
		if err := json.Unmarshal(a.body, &plan); err != nil {
			return answer{status: http.StatusTeapot, body: a.body}
		}
		return r.do(http.MethodPut, administered+"/policy", api.Policy{Files: files, BaseRevision: plan.BaseRevision, Plan: plan.Plan, Reason: "as planned"})
	}}
}

// rename registers the application's catalogue under another name.
func (h *historian) rename() sending {
	next := h.now()
	next.shop++
	w := api.Catalogue{CatalogueFields: api.CatalogueFields{
		Name: fmt.Sprint("Shop ", next.shop), Sections: []api.CatalogueEntry{{Path: "Shop.Orders", Name: "Orders"}},
	}}
	return sending{what: "catalogue", next: next, send: func(r *replica) answer {
		return r.do(http.MethodPut, administered+"/applications/shop/catalogue", w)
	}}
}

// importPeople makes accounts by a table.
func (h *historian) importPeople() sending {
	const many = 20
	var table strings.Builder
	table.WriteString("id,email,name\n")
	for i := range many {
		n := h.people + i
		fmt.Fprintf(&table, "people-%d,people-%d@example.com,People %d\n", n, n, n)
	}
	key := fmt.Sprint("import-", h.people)
	return sending{what: "import", next: h.now(), people: many, keyed: true, send: func(r *replica) answer {
		return r.send(http.MethodPost, administered+"/users:import?group=staff", "text/csv", []byte(table.String()), key)
	}}
}

// makeGroup makes a group as a console does.
func (h *historian) makeGroup() sending {
	next := h.now()
	code, name := fmt.Sprint("more-", next.groups), fmt.Sprint("More ", next.groups)
	next.groups++
	body, err := json.Marshal(api.NewGroup{Code: code, GroupFields: api.GroupFields{Name: name}})
	if err != nil {
		h.t.Fatal(err)
	}
	key := fmt.Sprint("group-", h.head)
	return sending{what: "group", next: next, keyed: true, send: func(r *replica) answer {
		return r.send(http.MethodPost, administered+"/groups", "application/json", body, key)
	}}
}

// rollback goes back to an earlier revision.
func (h *historian) rollback() sending {
	to, base := h.head, h.head
	for to > 2 && (h.chapters[to] == h.now() || rand.IntN(3) > 0) {
		to--
	}
	if next, known := h.chapters[to]; known && next != h.now() {
		return sending{what: "rollback", next: next, send: func(r *replica) answer {
			return r.do(http.MethodPost, administered+"/revisions:rollback", api.Rollback{To: fmt.Sprint(to), Undo: api.Undo{BaseRevision: base}})
		}}
	}
	return h.apply()
}

// revert reverses the newest revision. One that has made accounts cannot be.
func (h *historian) revert() sending {
	base := h.head
	before, known := h.chapters[base-1]
	if !known || h.kinds[h.head] == "import" || before == h.now() {
		return h.makeGroup()
	}
	return sending{what: "revert", next: before, send: func(r *replica) answer {
		return r.do(http.MethodPost, fmt.Sprintf("%s/revisions/%d:revert", administered, base), api.Undo{BaseRevision: base})
	}}
}

// killSometime kills at some moment.
func (h *historian) killSometime(r *replica) string {
	time.AfterFunc(rand.N(150*time.Millisecond), func() { r.signal(syscall.SIGKILL) })
	return "sometime"
}

// killOnceStored kills as soon as one of the next changes is seen in the database;
// its client hears no answer, whether there was one or not.
func (h *historian) killOnceStored(*replica) string {
	h.deafAfter = 4 + rand.IntN(8)
	return "once stored"
}

func (h *historian) killStored(r *replica) {
	h.t.Helper()
	var sent sync.WaitGroup
	sent.Go(func() { h.cut.send(r) })
	db := openDatabase(h.t, h.store)
	defer db.Close()
	eventually(h.t, "a "+h.cut.what+" is stored", func() bool {
		var at uint64
		return db.QueryRow("SELECT revision FROM tenant WHERE code = 'default'").Scan(&at) == nil && at > h.head
	})
	r.signal(syscall.SIGKILL)
	sent.Wait()
}

// killAtStatement kills in the middle of a write.
func (h *historian) killAtStatement(r *replica) string {
	if h.tap != nil {
		return h.tap.arm(r)
	}
	return h.slowStatement(r)
}

// slowStatement makes one statement of the write take for ever, and kills when no
// answer comes.
func (h *historian) slowStatement(r *replica) string {
	slowed := []string{
		"INSERT ON revision", "INSERT ON revision_change", "UPDATE ON tenant", "INSERT ON casbin_rule", "DELETE ON casbin_rule",
		"INSERT ON users", "UPDATE ON users", "INSERT ON user_groups", "INSERT ON attempt", "UPDATE ON applications",
	}
	statement := slowed[rand.IntN(len(slowed))]
	db := openDatabase(h.t, h.store)
	defer db.Close()
	sqlExec(h.t, db, fmt.Sprintf("CREATE TRIGGER for_ever AFTER %s BEGIN SELECT (%s); END", statement,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"))
	go func() {
		for was := int64(-1); was != h.answers.Load(); time.Sleep(300 * time.Millisecond) {
			was = h.answers.Load()
		}
		r.signal(syscall.SIGKILL)
	}()
	time.AfterFunc(time.Second, func() { r.signal(syscall.SIGKILL) })
	return "in " + statement
}

// clean removes what slows statements.
func (h *historian) clean() {
	if h.tap != nil {
		return
	}
	db := openDatabase(h.t, h.store)
	defer db.Close()
	sqlExec(h.t, db, "DROP TRIGGER IF EXISTS for_ever")
}

// settle finds out whether the change that was cut off is there. Its transaction
// may still be coming to its end, and whoever locks its row waits for that.
func (h *historian) settle() {
	h.t.Helper()
	db := openDatabase(h.t, h.store)
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	query := "SELECT revision FROM tenant WHERE code = 'default'"
	if h.tap != nil {
		query += " FOR UPDATE"
	}
	var at uint64
	if err := tx.QueryRow(query).Scan(&at); err != nil {
		h.t.Fatal(err)
	}
	switch h.done = at == h.head+1; {
	case h.done:
		h.there++
		h.arrived(h.cut)
	case at == h.head:
		h.notThere++
	default:
		h.t.Fatalf("revision %d was acknowledged, one more was tried, and the store is at %d", h.head, at)
	}
}

// proved runs what an operator would run.
func (h *historian) proved() {
	h.t.Helper()
	for _, args := range [][]string{{"verify", "-o", "json"}, {"doctor", "--questions=10"}} {
		cmd := exec.Command(program(h.t), args...)
		cmd.Env = append(os.Environ(), "BAILIWICK_STORE_DRIVER="+h.store.Driver, "BAILIWICK_STORE_DSN="+h.store.DSN, "BAILIWICK_AUDIT_SIGNING_KEY="+h.auditKey)
		if out, err := cmd.CombinedOutput(); err != nil {
			h.t.Fatalf("after a %s that was cut off at revision %d, bailiwick %s: %v\n%s", h.cut.what, h.head, args[0], err, out)
		}
	}
}

// serves looks at what a replica has started with.
func (h *historian) serves(r *replica) {
	t := h.t
	t.Helper()
	var policy api.PolicyFiles
	if a := r.do(http.MethodGet, administered+"/policy", nil); a.status != http.StatusOK || json.Unmarshal(a.body, &policy) != nil {
		t.Fatal(a)
	}
	if policy.Revision != h.head {
		t.Fatalf("it serves revision %d of %d", policy.Revision, h.head)
	}
	for _, o := range access.Diff(policyIn(t, h.now().files()), policyIn(t, policy.Files)) {
		t.Errorf("revision %d is not as it was meant: %s", h.head, o)
	}
	db := openDatabase(t, h.store)
	defer db.Close()
	for what, query := range map[string]string{
		"accounts":    "SELECT COUNT(*) FROM users WHERE id LIKE 'people-%'",
		"memberships": "SELECT COUNT(*) FROM casbin_rule WHERE v0 LIKE 'u:people-%' AND v1 = 'g:staff'",
	} {
		var there int
		if err := db.QueryRow(query).Scan(&there); err != nil || there != h.people {
			t.Errorf("revision %d: %d %s of the %d people that were imported are there (%v)", h.head, there, what, h.people, err)
		}
	}
	r.agrees(h.now().staff)
}

// again sends what was cut off a second time, and what was answered before.
func (h *historian) again(r *replica) {
	t := h.t
	t.Helper()
	if h.last.send != nil {
		if a := h.last.patiently(r); a.status != h.said.status || !bytes.Equal(a.body, h.said.body) {
			t.Errorf("a %s sent again: %s\nat first: %s", h.last.what, a, h.said)
		}
	}
	a := h.cut.patiently(r)
	switch {
	case !h.done && a.status/100 == 2:
		h.acknowledged++
		h.arrived(h.cut)
	case h.done && (h.cut.keyed || h.cut.what == "catalogue") && a.status/100 == 2:
	case h.done && !h.cut.keyed && a.status == http.StatusConflict:
	default:
		t.Errorf("a %s that was cut off (there: %v), sent again: %s", h.cut.what, h.done, a)
	}
	h.serves(r)
}
