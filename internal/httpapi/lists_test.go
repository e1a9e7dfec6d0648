package httpapi_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/store"
)

// everyList is each list of the API, with its filters and what it is sorted by.
var everyList = []string{
	"/users", "/users?sort=name", "/users?sort=-email", "/users?sort=id", "/users?q=person77", "/users?q=els&sort=name", "/users?q=nobody-is-called-so",
	"/users?q=e&group=group-3&active=true", "/users?email=person77@example.com", "/users?external_id=x77", "/users?status=disabled&sort=name",
	"/users?active=false", "/users?group=group-3", "/users?group=everybody&sort=name", "/users?any_group=group-3,group-4,everybody&sort=-name",
	"/users?every_group=group-3,everybody", "/users?role=clerk", "/users?licence=chats&sort=email", "/users?superuser=true", "/users?superuser=false",
	"/users?manager=true&sort=name", "/users?online=true", "/users?online=false&q=person7", "/users?created_from=2020-01-01T00:00:00Z&sort=-name",
	"/groups", "/groups?q=7", "/groups?sort=-members", "/groups?sort=name&kind=regular", "/groups?base=group-0", "/groups?view=tree", "/groups?view=tree&node=group-0",
	"/groups/group-3/members", "/groups/everybody/members", "/roles", "/roles?q=clerk&sort=-name",
	"/scopes", "/applications", "/rights-catalogue", "/licences",
	"/revisions", "/revisions?author=tester", "/groups/group-3/history", "/users/u77/history", "/refusals", "/refusals?caller=key:tester",
	"/decisions", "/decisions?subject=user:u77", "/users/u77/sessions", "/keys", "/guarantees",
}

// populous is a house with so many users and groups, and a log of everything.
func populous(t testing.TB, o store.Options, users, groups int, change ...func(*httpapi.Options)) *house {
	t.Helper()
	h := newHouseOn(t, o, change...)
	p := &access.Policy{
		Tenant: "crowd", Licences: []access.Licence{{Feature: "chats"}},
		Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{{Path: "System"}, {Path: "System.Orders"}}}},
		Roles:     []access.Role{{Code: "clerk", Grants: []access.Grant{{Section: "System.Orders", Rights: access.Show}}}},
		Groups:    []access.Group{{Code: "everybody", Name: "Everybody", Kind: access.GroupDefault}, {Code: "chiefs", Roles: []access.Link{{To: access.SuperuserRole}}}},
	}
	for i := range 50 {
		p.Scopes = append(p.Scopes, access.ScopeNode{Parent: access.Everywhere, Scope: access.Scope(fmt.Sprintf("store:%d", i)), Name: fmt.Sprintf("Store %d", i)})
		p.Roles = append(p.Roles, access.Role{Code: fmt.Sprintf("role-%d", i), Name: fmt.Sprintf("Role %d", i)})
	}
	for i := range groups {
		g := access.Group{Code: fmt.Sprintf("group-%d", i), Name: fmt.Sprintf("Group %d", i), Attributes: map[string]any{"is_manager": i%8 == 3}}
		g.Grants = []access.Grant{{Section: "System.Orders", Rights: access.Show, Scope: p.Scopes[i%50].Scope}}
		if i > 0 {
			g.Base = fmt.Sprintf("group-%d", i%10%i)
		}
		if i < 10 {
			g.Base = ""
		}
		p.Groups = append(p.Groups, g)
	}
	for i := range users {
		u := access.User{
			ID: fmt.Sprintf("u%d", i), Email: fmt.Sprintf("Person%d@Example.com", i), Name: fmt.Sprintf("%s %d", []string{"Else", "Nelson", "Ida", "Zoe"}[i%4], i),
			Groups: []access.Link{{To: fmt.Sprintf("group-%d", i%groups)}}, ExternalID: fmt.Sprintf("x%d", i),
		}
		if i%2 == 0 {
			u.Groups = append(u.Groups, access.Link{To: "everybody"})
		}
		switch i % 40 {
		case 7:
			u.Status = access.UserDisabled
		case 8:
			u.Licences = []string{"chats"}
		case 9:
			u.Roles = []access.Link{{To: "clerk"}}
		}
		if i%1000 == 11 {
			u.Groups = append(u.Groups, access.Link{To: "chiefs"})
		}
		p.Users = append(p.Users, u)
	}
	_, err := h.store.CreateTenant(t.Context(), access.Tenant{Code: p.Tenant}, byTester)
	h.must(err)
	_, err = h.store.Apply(t.Context(), p, byTester)
	h.must(err)
	h.must(h.follower.Poll(t.Context()))
	h.logged(users)
	return h
}

// logged makes revisions, refusals, answers and sessions.
func (h *house) logged(n int) {
	h.t.Helper()
	for i := range 60 {
		h.send(http.MethodPatch, "/v1/tenants/crowd/groups/group-3", h.root, fmt.Sprintf(`{"description":"version %d"}`, i))
	}
	db := h.beside()
	insert := func(into string, row func(i int) string) {
		for part := range slices.Chunk(slices.Collect(func(yield func(int) bool) {
			for i := 0; i < n && yield(i); i++ {
			}
		}), 500) {
			rows := make([]string, len(part))
			for i, k := range part {
				rows[i] = row(k)
			}
			_, err := db.ExecContext(h.t.Context(), "INSERT INTO "+into+" VALUES "+strings.Join(rows, ", "))
			h.must(err)
		}
	}
	now := time.Now().UTC()
	insert("refusal (tenant, id, refused_at, caller, request_id, need, door, why, times)", func(i int) string {
		return fmt.Sprintf("('crowd', '%020d', %d, 'key:tester-%d', 'r', 'Users/show', 'http', 'no', 1)", i, now.UnixMicro(), i%100)
	})
	insert("decision (tenant, id, asked_at, subject, section, allowed, reason, caller, request_id, body)", func(i int) string {
		return fmt.Sprintf(`('crowd', '%020d', %d, 'user:u%d', 'System.Orders', 1, 'granted_by', 'key:shop', 'r', '{"id":"%020d"}')`, i, now.UnixMicro(), i%1000, i)
	})
	var tenant int64
	var epoch string
	h.must(db.QueryRowContext(h.t.Context(), "SELECT id, epoch FROM tenant WHERE code = 'crowd'").Scan(&tenant, &epoch))
	insert("session (secret_hash, id, tenant_id, user_id, epoch, steps, created_at, seen_at, idle, ends_at, address, agent)", func(i int) string {
		return fmt.Sprintf("(x'%064x', 's%d', %d, 'u%d', '%s', '', 1, %d, 1800000000, %d, '', '')", i+1, i, tenant, i, epoch, now.Add(-time.Duration(i)*time.Second).UnixMicro(), now.Add(time.Hour).UnixMicro())
	})
}

// beside is another connection to the same database.
func (h *house) beside() *sql.DB {
	h.t.Helper()
	db, err := sql.Open(h.storage.Driver, h.storage.DSN)
	h.must(err)
	h.t.Cleanup(func() { _ = db.Close() })
	return db
}

// small are tables of which each tenant's rows are read as a whole: documents of
// its policy, and what there are few of.
var small = []string{"tenant", "user_groups", "roles", "scopes", "applications", "conditions", "api_key", "guarantee", "shared_secret", "replica", "few", "subject_stripe"}

var (
	scansSQLite = regexp.MustCompile(`SCAN (\w+)`)
	scansMySQL  = regexp.MustCompile(`table=(\w+) type=(?:ALL|index) `)
)

// TestLists_indexes: no list reads a large table from end to end, on either
// database: every statement that it makes is explained.
func TestLists_indexes(t *testing.T) {
	for name, o := range map[string]store.Options{"sqlite": sqliteFile(t), "mysql": {Driver: store.MySQL, DSN: accesstest.MySQL(t)}} {
		t.Run(name, func(t *testing.T) {
			kept := tracetest.NewInMemoryExporter()
			h := populous(t, o, 3000, 60, func(o *httpapi.Options) { o.Tracing = sdk.NewTracerProvider(sdk.WithSyncer(kept)) })
			db := h.beside()
			if _, table := h.scanned(db, "SELECT id FROM users WHERE name = ?"); table != "users" {
				t.Fatal("a table that is read from end to end is not noticed")
			}
			explained := map[string]bool{}
			for _, path := range everyList {
				kept.Reset()
				if w := h.send(http.MethodGet, "/v1/tenants/crowd"+path, h.root, ""); w.Code != http.StatusOK {
					t.Errorf("%s: %d %s", path, w.Code, w.Body)
				}
				for _, query := range statements(kept) {
					if explained[query] || !strings.HasPrefix(query, "SELECT") {
						continue
					}
					explained[query] = true
					if plan, table := h.scanned(db, query); table != "" {
						t.Errorf("%s reads all of %s:\n%s\n%s", path, table, query, plan)
					}
				}
			}
			for query := range explained {
				if plan, _ := h.scanned(db, query); strings.Contains(query, "AND kind = ? AND name = ?") && !strings.Contains(plan, "revision_change_name") && !strings.Contains(plan, "Impossible WHERE") {
					t.Errorf("the history of one thing reads all that a revision has changed:\n%s\n%s", query, plan)
				}
				if plan, _ := h.scanned(db, query); strings.Contains(query, "caller = ") && !strings.Contains(plan, "refusal_caller") && !strings.Contains(plan, "Impossible WHERE") {
					t.Errorf("refused attempts of one caller are not found by him:\n%s\n%s", query, plan)
				}
			}
			if len(explained) < 30 {
				t.Errorf("only %d statements were explained", len(explained))
			}
		})
	}
}

func statements(kept *tracetest.InMemoryExporter) (all []string) {
	for _, span := range kept.GetSpans() {
		for _, a := range span.Attributes {
			if a.Key == "db.query.text" {
				all = append(all, a.Value.AsString())
			}
		}
	}
	return all
}

// scanned gives the plan of a statement and the large table that it reads whole.
func (h *house) scanned(db *sql.DB, query string) (plan, table string) {
	h.t.Helper()
	explain, scans := "EXPLAIN QUERY PLAN ", scansSQLite
	if h.storage.Driver == store.MySQL {
		explain, scans = "EXPLAIN ", scansMySQL
	}
	text := strings.ReplaceAll(query, "LIMIT ?", "LIMIT 51")
	args := make([]any, strings.Count(text, "?"))
	for i := range args {
		args[i] = "1"
	}
	rows, err := db.QueryContext(h.t.Context(), explain+text, args...)
	h.must(err)
	defer rows.Close()
	columns, err := rows.Columns()
	h.must(err)
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		h.must(rows.Scan(into...))
		for i, c := range columns {
			plan += c + "=" + values[i].String + " "
		}
		plan += "\n"
	}
	h.must(rows.Err())
	for _, found := range scans.FindAllStringSubmatch(plan, -1) {
		if !slices.Contains(small, found[1]) {
			table = found[1]
		}
	}
	return plan, table
}

// TestSoakLists measures every list at 100,000 users and 1,000 groups, beside a
// bare SELECT of fifty whole accounts by their key.
func TestSoakLists(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") != "1" {
		t.Skip("set BAILIWICK_SOAK=1")
	}
	for name, o := range map[string]store.Options{"sqlite": sqliteFile(t), "mysql": {Driver: store.MySQL, DSN: accesstest.MySQL(t)}} {
		t.Run(name, func(t *testing.T) {
			h := populous(t, o, 100_000, 1000, quiet)
			db := h.beside()
			measure := func(what string, do func()) {
				do() // once, so that what is kept in memory is there, or comes
				time.Sleep(100 * time.Millisecond)
				took := make([]time.Duration, 40)
				for i := range took {
					began := time.Now()
					do()
					took[i] = time.Since(began)
				}
				slices.Sort(took)
				t.Logf("%-62s p50 %7.1f ms  p95 %7.1f ms", what, took[20].Seconds()*1000, took[38].Seconds()*1000)
			}
			measure("(bare SELECT of 50 accounts by key)", func() {
				rows, err := db.QueryContext(t.Context(), "SELECT * FROM users WHERE tenant_id = 2 AND id > 'u5' ORDER BY id LIMIT 50")
				h.must(err)
				defer rows.Close()
				for rows.Next() {
				}
				h.must(rows.Err())
			})
			h.send(http.MethodGet, "/v1/tenants/crowd/users?q=person", h.root, "")
			time.Sleep(5 * time.Second) // what is kept in memory is read beside
			for _, path := range everyList {
				measure(path, func() {
					if w := h.send(http.MethodGet, "/v1/tenants/crowd"+path, h.root, ""); w.Code != http.StatusOK {
						t.Errorf("%s: %d %s", path, w.Code, w.Body)
					}
				})
			}
		})
	}
}
