package httpapi_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/sheet"
)

func init() {
	const csvBody, csvType = "email,name\nnew-%d@example.com,New\n", "text/csv"
	maps.Copy(matrix, map[string]entry{
		"GET /v1/tenants/{tenant}/users:export":                  {need: access.KeyRead},
		"POST /v1/tenants/{tenant}/users:import":                 {need: access.KeyAdmin, body: csvBody, media: csvType},
		"GET /v1/tenants/{tenant}/users:import-template":         {need: access.KeyRead},
		"GET /v1/tenants/{tenant}/groups:export":                 {need: access.KeyRead},
		"GET /v1/tenants/{tenant}/groups/{code}/members:export":  {need: access.KeyRead, path: "/v1/tenants/default/groups/readers/members:export"},
		"POST /v1/tenants/{tenant}/groups/{code}/members:import": {need: access.KeyAdmin, path: "/v1/tenants/default/groups/readers/members:import", body: csvBody, media: csvType},
		"GET /v1/tenants/{tenant}/grants:export":                 {need: access.KeyRead},
	})
}

func (s shop) table(format, path, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(http.MethodPost, shopTenant+path, s.root, body, "Content-Type", sheet.Format(format).MediaType())
}

func (s shop) imports(path, body string) api.Imported {
	s.t.Helper()
	return decode[api.Imported](s.t, s.table("csv", path, body))
}

func (s shop) download(path string) []byte {
	s.t.Helper()
	w := s.do(http.MethodGet, path, "")
	if w.Code != http.StatusOK {
		s.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// rowsOf reads an exported table by its first column.
func rowsOf(t *testing.T, file []byte, f sheet.Format) (head []string, rows map[string]map[string]string) {
	t.Helper()
	rows = map[string]map[string]string{}
	err := sheet.Read(file, f, sheet.Limits{Rows: 1e6, Columns: 50, Cell: 1 << 20, Bytes: 1 << 30}, func(_ int, cells []string) error {
		if head == nil {
			head = cells
			return nil
		}
		row := map[string]string{}
		for i, name := range head {
			if i < len(cells) {
				row[name] = cells[i]
			}
		}
		rows[cells[0]] = row
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return head, rows
}

// Req 107, 65: download, edit, import; then the same again changes nothing.
func TestImport_roundTrip(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.user(http.MethodPost, "/users", `{"id":"all","email":"all@example.com","name":"=SUM(A1)","external_id":"+49","status":"disabled",
			"groups":[{"group":"support","scope":"store:1","from":"2026-01-01T00:00:00Z"},{"group":"sales"}],"roles":[{"role":"exporter","until":"2099-01-01T00:00:00.5Z"}],
			"grants":[{"section":"System.Orders","crud":10,"scope":"store:2","condition":"context.a == \"x,y\""},{"section":"System.Chats","rights":["show"],"effect":"deny"}],
			"licences":["chats"],"applications_off":["desk"],"attributes":{"n":1,"f":1.5,"list":["a,b",null]},"menu":["System.Orders","System.Chats"]}`)
		s.user(http.MethodPost, "/users", `{"id":"nothing","email":"nothing@example.com","name":"'t Hooft","menu":[]}`)
		for _, format := range []string{"csv", "xlsx"} {
			before := s.list("?sort=id")
			file := s.download("/users:export?sort=id&format=" + format)
			for _, mode := range []string{"update", "upsert"} {
				done := decode[api.Imported](t, s.table(format, "/users:import?mode="+mode, string(file)))
				if done.Unchanged != 5 || done.Created+done.Updated != 0 || done.Revision != before.Revision {
					t.Fatalf("%s, %s: %+v", format, mode, done)
				}
			}
		}

		// Everything survives, also where the accounts are no more.
		want := s.list("?sort=id")
		file := s.download("/users:export?sort=id")
		other := newShop(t, sqliteFile(t))
		other.imports("/users:import", string(file))
		got := other.list("?sort=id")
		for i := range got.Users {
			got.Users[i].CreatedAt, want.Users[i].CreatedAt = got.Users[i].CreatedAt.UTC(), got.Users[i].CreatedAt.UTC()
		}
		if mustJSON(t, got.Users) != mustJSON(t, want.Users) {
			t.Errorf("got  %s\nwant %s", mustJSON(t, got.Users), mustJSON(t, want.Users))
		}

		edited := strings.Replace(strings.Replace(string(file), "'t Hooft", "Nobody", 1), "Elsa", "Elsa S.", 1)
		plan := s.imports("/users:import?dry_run=true", edited)
		if plan.Updated != 2 || plan.Unchanged != 3 || !plan.DryRun || s.list("").Revision != want.Revision {
			t.Errorf("%+v", plan)
		}
		if len(plan.Accounts) != 2 || plan.Accounts[0].ID != "nothing" || plan.Accounts[0].Line != 3 || !slices.Equal(plan.Accounts[0].Fields, []string{"name"}) {
			t.Errorf("%+v", plan.Accounts)
		}
		done := s.imports("/users:import?reason=names", edited)
		if done.Updated != 2 || done.Revision != want.Revision+1 {
			t.Errorf("%+v", done)
		}
		if u := s.user(http.MethodGet, "/users/nothing", ""); u.Name != "Nobody" || u.Menu == nil {
			t.Errorf("%+v", u)
		}
	})
}

// Accounts are made for stores by a column or by the query, and without a group
// they come into the one for newcomers (Req 107, 65).
func TestImport_creates(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		done := s.imports("/users:import?mode=create", "email;name;groups\nnew-1@example.com;One;\nnew-2@example.com;Two;sales@store:1, support@store:2\n")
		if done.Created != 2 || len(done.Accounts) != 2 || done.Accounts[1].ID == "" || done.Accounts[1].Line != 3 {
			t.Fatalf("%+v", done)
		}
		one, two := s.user(http.MethodGet, "/users/"+done.Accounts[0].ID, ""), s.user(http.MethodGet, "/users/"+done.Accounts[1].ID, "")
		if one.Groups[0].Group != "new" || two.Groups[0] != (api.Membership{Group: "sales", Scope: "store:1"}) || two.Groups[1].Scope != "store:2" {
			t.Errorf("%+v %+v", one.Groups, two.Groups)
		}
		done = s.imports("/groups/support/members:import?scope=store:2", "email,name\nnew-1@example.com,One\nnew-3@example.com,Three\n")
		if done.Created != 1 || done.Updated != 1 {
			t.Fatalf("%+v", done)
		}
		if got := s.ids("?group=support&sort=email"); !slices.Equal(got[:1], []string{one.ID}) || len(got) != 3 {
			t.Errorf("%v", got)
		}
		three := s.user(http.MethodGet, "/users/"+done.Accounts[1].ID, "")
		if len(three.Groups) != 1 || three.Groups[0].Scope != "store:2" {
			t.Errorf("%+v", three.Groups)
		}
		_, rows := rowsOf(t, s.download("/groups/support/members:export?format=xlsx&q=Three"), sheet.XLSX)
		if len(rows) != 1 || rows[three.ID]["groups"] != "support@store:2" {
			t.Errorf("%v", rows)
		}
		s.wantProblem(s.do(http.MethodGet, "/groups/nobody/members:export", ""), 404, "not_found")
	})
}

// Every mistake is told with its line and column, and nothing is imported.
func TestImport_mistakes(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		before := s.list("")
		table := "id,email,name,groups,roles,grants,licences,status,attributes\n" +
			"fine,fine@example.com,Fine,sales,,,,,\n" +
			"a,not an address,A,sales,,,,,\n" +
			"b,b@example.com,B,\"sales, salse\",,,,,\n" +
			"c,c@example.com,C,sales from tomorrow,,,,,\n" +
			"d,d@example.com,D,sales,exporter,\"[{\"\"section\"\":\"\"System.Nowhere\"\",\"\"crud\"\":2}]\",chat,,\n" +
			"fine,other@example.com,Fine,sales,,,,,\n" +
			"e,FINE@example.com,E,sales,,,,,\n" +
			"f,f@example.com,F,sales,,nonsense,,strange,\n" +
			"sales-1,x@example.com,X,,,,,,\n" +
			"g,g@example.com,G,sales,,,,,{\n"
		p := s.wantProblem(s.table("csv", "/users:import", table), 422, "import_invalid")
		var got []string
		for _, d := range p.Details {
			got = append(got, fmt.Sprintf("%d %s", d.Line, d.Field))
		}
		want := []string{
			"3 email", "4 groups[1]", "5 groups[0]", "6 licences", "6 grants[0]", "7 id", "8 email", "9 grants", "9 status", "10 groups", "11 attributes",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q\n%+v", got, want, p.Details)
		}
		if !strings.Contains(fmt.Sprint(p.Details), `did you mean "chats"`) {
			t.Errorf("%+v", p.Details)
		}
		if after := s.list(""); after.Revision != before.Revision {
			t.Error("something was imported")
		}
		for body, want := range map[string]string{
			"":                                      "empty",
			"nme,email\nx,y\n":                      "did you mean name",
			"name\nx\n":                             "id or email",
			"email,email\nx,y\n":                    "twice",
			"email\nx@example.com,too much\n":       "no head",
			"id,email,name\n,,X\n":                  "required",
			"id,email\nsales-1,\"open\n":            `"`,
			"id,created_at\nsales-1,2020\n":         "",
			"id,status\nsales-1,invited\n":          "active of disabled",
			"id,status\nroot,active\n=cmd,active\n": "required",
		} {
			w := s.table("csv", "/users:import", body)
			if want == "" && w.Code == 200 {
				continue
			}
			if p := s.wantProblem(w, 422, "import_invalid"); want == "" || !strings.Contains(fmt.Sprint(p.Details), want) {
				t.Errorf("%q: %+v", body, p.Details)
			}
		}
		p = s.wantProblem(s.table("csv", "/users:import?mode=update", "email\nnobody@example.com\n"), 422, "import_invalid")
		if p.Details[0].Line != 2 || p.Details[0].Field != "email" {
			t.Errorf("%+v", p.Details)
		}
		s.wantProblem(s.table("csv", "/users:import?mode=create", "id,email,name\nsales-1,a@example.com,A\n"), 422, "import_invalid")
		s.wantProblem(s.table("csv", "/users:import?mode=replace", "email\n"), 400, "invalid")
		s.wantProblem(s.send(http.MethodPost, shopTenant+"/users:import", s.root, "{}"), 415, "content_type")
		s.wantProblem(s.send(http.MethodPost, shopTenant+"/users:import", s.root, "id\n", "Content-Type", "text/csv; charset=latin1"), 415, "content_type")
		s.wantProblem(s.table("csv", "/users:import", strings.Repeat("x", 8<<20+1)), 413, "too_large")
		many := "email,name\n" + strings.Repeat("x,y\n", 10_001)
		if p := s.wantProblem(s.table("csv", "/users:import", many), 422, "import_invalid"); len(p.Details) != 101 {
			t.Errorf("%d details", len(p.Details))
		}

		// Two seats, three who want one: 409 as by hand, and nobody has come.
		s.wantProblem(s.table("csv", "/users:import", "email,name,licences\na@example.com,A,chats\nb@example.com,B,chats\nc@example.com,C,chats\n"), 409, "exists")
		// A deleted account does not come back by a table.
		s.user(http.MethodDelete, "/users/sales-1", "")
		p = s.wantProblem(s.table("csv", "/users:import", "id,name\nsales-1,Elsa\n"), 422, "import_invalid")
		if !strings.Contains(p.Details[0].Reason, "restore") {
			t.Errorf("%+v", p.Details)
		}
		if done := s.imports("/users:import", "id,status\nsales-1,deleted\n"); done.Unchanged != 1 {
			t.Errorf("%+v", done)
		}
	})
}

// Req 112: what is shown in lists can be downloaded, and nothing in it is a formula.
func TestExport(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.user(http.MethodPost, "/users", `{"id":"evil","email":"evil@example.com","name":"=HYPERLINK(\"http://x\")","groups":[{"group":"support"}],"grants":[{"section":"System.Orders","crud":2}]}`)
		w := s.do(http.MethodGet, "/users:export?group=support", "")
		if got := w.Header().Get("Content-Type"); got != "text/csv; charset=utf-8" {
			t.Error(got)
		}
		if got := w.Header().Get("Content-Disposition"); !strings.HasPrefix(got, "attachment; filename=users-shop-") {
			t.Error(got)
		}
		text := w.Body.String()
		if !strings.HasPrefix(text, "\uFEFFid,email,name,") || !strings.Contains(text, "'=HYPERLINK") || strings.Contains(text, "root") {
			t.Error(text)
		}
		records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(records) != 2 {
			t.Fatal(records, err)
		}
		if !strings.Contains(s.log.String(), `"msg":"data was exported"`) || !strings.Contains(s.log.String(), `"filters":["group=support"],"rows":1,"whole":true`) {
			t.Error("the log does not tell of the export")
		}
		_, groups := rowsOf(t, s.download("/groups:export"), sheet.CSV)
		if len(groups) != 3 || groups["support"]["roles"] != "chatter" || groups["support"]["members"] != "1" {
			t.Errorf("%v", groups)
		}
		_, grants := rowsOf(t, s.download("/grants:export?format=xlsx"), sheet.XLSX)
		if grants["user"]["holder"] != "evil" || grants["user"]["crud"] != "2" || grants["role"]["section"] == "" {
			t.Errorf("%v", grants)
		}
		head, rows := rowsOf(t, s.download("/users:import-template"), sheet.CSV)
		if len(rows) != 0 || slices.Contains(head, "created_at") || head[1] != "email" {
			t.Errorf("%v", head)
		}
		s.wantProblem(s.do(http.MethodGet, "/users:export?format=ods", ""), 400, "invalid")
		s.wantProblem(s.do(http.MethodGet, "/users:export?gruop=x", ""), 400, "invalid")
	})
}

// dying is a store that gives one page of a list, and then no more.
type dying struct {
	service.DirectoryStore
	pages int
}

func (d *dying) FindUsers(ctx context.Context, tenant string, q access.UserSearch) (access.FoundUsers, error) {
	if d.pages++; d.pages > 1 {
		return access.FoundUsers{}, access.Unavailable("the database is gone")
	}
	return d.DirectoryStore.FindUsers(ctx, tenant, q)
}

// An export that breaks off does not look whole, and the log says so.
func TestExport_breaksOff(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	var table bytes.Buffer
	table.WriteString("email,name\n")
	for i := range service.MaxPage + 1 {
		fmt.Fprintf(&table, "u-%d@example.com,U\n", i)
	}
	s.imports("/users:import", table.String())
	o := s.options
	o.Directory = service.NewDirectory(&dying{DirectoryStore: s.store}, s.engine, s.authority, s.follower, service.DirectoryOptions{})
	door, err := httpapi.NewServer(o)
	s.must(err)
	server := httptest.NewServer(door.Handler())
	defer server.Close()
	for _, format := range []string{"csv", "xlsx"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+shopTenant+"/users:export?format="+format, nil)
		s.must(err)
		request.Header.Set("Authorization", "Bearer "+s.root)
		response, err := http.DefaultClient.Do(request)
		s.must(err)
		_, err = io.Copy(io.Discard, response.Body)
		s.must(response.Body.Close())
		// Of an XLSX file so small nothing was sent yet, and there is an answer.
		if response.StatusCode != http.StatusServiceUnavailable && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got %d, %v", format, response.StatusCode, err)
		}
		if format == "csv" && response.StatusCode != http.StatusOK {
			t.Errorf("nothing was sent: %d", response.StatusCode)
		}
	}
	if !strings.Contains(s.log.String(), `"whole":false`) {
		t.Error("the log does not tell of it")
	}
}

// Imports cannot elevate: whoever imports keeps to the bounds of whoever does
// the same by hand, and sees no more (security: delegated administration).
func TestImport_delegated(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.do(http.MethodPost, "/groups", `{"code":"clerks","name":"Clerks","kind":"regular","grants":[{"section":"System.Access.Users","rights":["show","insert","update"],"scope":"store:1"},{"section":"System.Orders","rights":["show"],"scope":"store:1"}]}`)
		s.user(http.MethodPost, "/users", `{"id":"clerk","email":"clerk@example.com","name":"Clerk","groups":[{"group":"clerks"}]}`)
		s.do(http.MethodPost, "/groups", `{"code":"readers","name":"Readers","kind":"regular","grants":[{"section":"System.Orders","rights":["show"]}]}`)
		clerk := person("shop", "clerk")
		table := func(mode service.ImportMode, rows ...service.ImportRow) func(*service.Directory) error {
			return func(d *service.Directory) error {
				_, _, err := d.ImportUsers(t.Context(), clerk, "shop", service.UserImport{Mode: mode, Rows: rows}, once)
				return err
			}
		}
		row := func(id, mail string, groups ...access.Link) service.ImportRow {
			return service.ImportRow{Line: 2, ID: id, Patch: service.UserPatch{Email: &mail, Name: &mail, Groups: &groups}}
		}
		in := func(group string, scope access.Scope) access.Link { return access.Link{To: group, Scope: scope} }
		fine := row("fine", "fine@example.com", in("readers", "store:1"))
		root := row("evil", "evil@example.com", in("readers", "store:1"))
		root.Patch.Roles = &[]access.Link{{To: access.SuperuserRole}}
		own := row("clerk", "clerk@example.com", in("clerks", ""), in("sales", ""))
		s.attempts("shop", access.ErrForbidden, map[string]func(*service.Directory) error{
			"a superuser":             table(service.ImportCreate, fine, root),
			"rights he does not hold": table(service.ImportCreate, fine, row("evil", "evil@example.com", in("support", "store:1"))),
			"another store":           table(service.ImportCreate, row("evil", "evil@example.com", in("readers", "store:2"))),
			"every store":             table(service.ImportCreate, row("evil", "evil@example.com", in("readers", ""))),
			"himself":                 table(service.ImportUpdate, own),
		})
		s.attempts("shop", access.ErrInvalid, map[string]func(*service.Directory) error{
			"the mail of a superuser": table(service.ImportUpdate, row("root", "mine@example.com", in("readers", "store:1"))),
			"by his e-mail":           table(service.ImportUpsert, row("", "ROOT@example.com", in("readers", "store:1"))),
		})
		dry := once
		dry.Rehearse = true
		if _, _, err := s.options.Directory.ImportUsers(t.Context(), clerk, "shop", service.UserImport{Mode: service.ImportCreate, Rows: []service.ImportRow{fine, root}}, dry); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("a dry run tells what could not be: %v", err)
		}
		s.must(table(service.ImportCreate, fine)(s.options.Directory))
		var seen []string
		n, err := s.options.Directory.EachUser(t.Context(), clerk, "shop", access.UserSearch{}, func(users []access.User) error {
			for _, u := range users {
				seen = append(seen, u.ID)
			}
			return nil
		})
		if slices.Sort(seen); err != nil || n != len(seen) || slices.Contains(seen, "root") || !slices.Contains(seen, "fine") {
			t.Errorf("%v, %v", seen, err)
		}
		reader := access.Caller{Name: "key:reader", Tenant: "shop", May: access.KeyRead}
		s.attempts("shop", access.ErrForbidden, map[string]func(*service.Directory) error{
			"with a key that reads": func(d *service.Directory) error {
				_, _, err := d.ImportUsers(t.Context(), reader, "shop", service.UserImport{Mode: service.ImportUpsert}, once)
				return err
			},
			"rights of others": func(d *service.Directory) error {
				_, err := d.EachGrant(t.Context(), clerk, "shop", func([]service.HeldGrant) error { return nil })
				return err
			},
		})
	})
}

// TestSoakImport measures a table of 10,000 accounts, beside others.
func TestSoakImport(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") != "1" {
		t.Skip("set BAILIWICK_SOAK=1")
	}
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		for part := range 3 {
			var text bytes.Buffer
			text.WriteString("id,email,name,groups\n")
			for i := range service.MaxImport {
				fmt.Fprintf(&text, "u-%d-%d,u-%d-%d@example.com,User %d,\"sales@store:1, support\"\n", part, i, part, i, i)
			}
			for _, dry := range []string{"?dry_run=true", ""} {
				start := time.Now()
				done := s.imports("/users:import"+dry, text.String())
				t.Logf("%d created in %s %s", done.Created, time.Since(start), dry)
			}
		}
		for _, format := range []string{"csv", "xlsx"} {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			file := s.download("/users:export?format=" + format)
			runtime.ReadMemStats(&after)
			t.Logf("%s: %d bytes in %s, %d bytes allocated", format, len(file), time.Since(start), after.TotalAlloc-before.TotalAlloc)
		}
		file := s.download("/users:export?format=xlsx&q=u-1-")
		runtime.GC()
		var peak atomic.Uint64
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					peak.Store(max(peak.Load(), m.HeapAlloc))
				}
			}
		}()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		start := time.Now()
		done := decode[api.Imported](t, s.table("xlsx", "/users:import?mode=update", string(file)))
		close(stop)
		t.Logf("%d unchanged by xlsx of %d bytes in %s, peak %d MiB above", done.Unchanged, len(file), time.Since(start), (int64(peak.Load())-int64(m.HeapAlloc))>>20)
	})
}

// Req 30: who takes over from a deleted account is said when it is deleted, or
// later, and applications find him in the account. He gets no right by it.
func TestUser_handOver(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.user(http.MethodPost, "/users", `{"id":"plain","email":"plain@example.com","name":"Plain","groups":[{"group":"new"}]}`)
		for query, want := range map[string]int{"?hand_over_to=nobody": 400, "?hand_over_to=sales-1": 400, "?hand_over_too=x": 400} {
			w := s.do(http.MethodDelete, "/users/sales-1"+query, "")
			name, _, _ := strings.Cut(query[1:], "=")
			var p api.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != want || len(p.Details) != 1 || p.Details[0].Field != name {
				t.Errorf("%s: %d %s", query, w.Code, w.Body)
			}
		}
		if p := s.wantProblem(s.do(http.MethodPatch, "/users/sales-1", `{"home":"a/b"}`), 400, "invalid"); p.Details[0].Field != "home" {
			t.Errorf("a home that is no scope: %+v", p)
		}
		s.wantProblem(s.do(http.MethodPost, "/users/sales-1:hand-over", `{"to":"plain"}`), 409, "conflict")
		gone := s.user(http.MethodDelete, "/users/sales-1?hand_over_to=plain&reason=left", "")
		if gone.Successor != "plain" || s.user(http.MethodGet, "/users/sales-1", "").Successor != "plain" {
			t.Errorf("%+v", gone)
		}
		if allowed, _ := s.asks("plain", "System.Orders", "show"); allowed {
			t.Error("the successor got a right")
		}
		if gone := s.user(http.MethodPost, "/users/sales-1:hand-over", `{"to":"root","reason":"plain is ill"}`); gone.Successor != "root" {
			t.Errorf("%+v", gone)
		}
		s.wantProblem(s.do(http.MethodPost, "/users/sales-1:hand-over", `{}`), 400, "invalid")
		if p := s.wantProblem(s.do(http.MethodPost, "/users/sales-1:hand-over", `{"to":"nobody"}`), 400, "invalid"); p.Details[0].Field != "to" {
			t.Errorf("a successor who is none: %+v", p)
		}
		_, rows := rowsOf(t, s.download("/users:export?status=deleted"), sheet.CSV)
		if rows["sales-1"]["successor"] != "root" || rows["sales-1"]["deleted_at"] == "" {
			t.Errorf("%v", rows)
		}
		if back := s.user(http.MethodPost, "/users/sales-1:restore", ""); back.Successor != "" || back.Status != "disabled" || back.Groups[0].Group != "sales" {
			t.Errorf("%+v", back)
		}
		reader := person("shop", "plain")
		s.attempts("shop", access.ErrForbidden, map[string]func(*service.Directory) error{
			"hand over without a right": func(d *service.Directory) error {
				_, _, err := d.HandOver(t.Context(), reader, "shop", "sales-1", "plain", once)
				return err
			},
			"delete and hand over without a right": func(d *service.Directory) error {
				_, _, err := d.DeleteUser(t.Context(), reader, "shop", "sales-1", "plain", once)
				return err
			},
		})
	})
}

// Req 30: memberships come back only where the group still exists, and after the
// window nothing comes back: all but the id is taken away by a revision.
func TestUser_purge(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.user(http.MethodPost, "/users", `{"id":"both","email":"both@example.com","name":"Both","groups":[{"group":"support"},{"group":"sales"}],"attributes":{"phone":"+49"},"external_id":"x-1"}`)
		s.user(http.MethodDelete, "/users/both?hand_over_to=sales-1", "")
		if w := s.do(http.MethodDelete, "/groups/support", ""); w.Code != 200 {
			t.Fatal(w.Body)
		}
		if back := s.user(http.MethodPost, "/users/both:restore", ""); len(back.Groups) != 1 || back.Groups[0].Group != "sales" {
			t.Errorf("%+v", back.Groups)
		}
		s.must(wantStatus(s.do(http.MethodPut, "/users/both/password", `{"password":"given by somebody else 1"}`), 200))
		if s.keptOf("both") == 0 {
			t.Fatal("the password is kept nowhere")
		}
		s.user(http.MethodDelete, "/users/both?hand_over_to=sales-1", "")
		before := s.list("").Revision
		purge := func(after time.Duration) access.Delta {
			d, err := s.store.Purge(t.Context(), "shop", time.Now().Add(after))
			s.must(err)
			return d
		}
		if d := purge(-time.Hour); d.From != d.To {
			t.Error("what can be restored was purged")
		}
		if d := purge(time.Hour); uint64(d.To) != before+1 {
			t.Errorf("purged by %d to %d", d.From, d.To)
		}
		if d := purge(time.Hour); d.From != d.To {
			t.Error("it was purged twice")
		}
		if left := s.keptOf("both"); left != 0 {
			t.Errorf("%d rows of passwords, sessions, tokens and mails are left", left)
		}
		s.must(s.follower.Poll(t.Context()))
		w := s.do(http.MethodGet, "/users/both", "")
		for _, personal := range []string{"both@", "Both", "+49", "x-1", "sales\""} {
			if strings.Contains(w.Body.String(), personal) {
				t.Errorf("%q is still there: %s", personal, w.Body)
			}
		}
		if u := decode[api.User](t, w); u.Status != "deleted" || u.Successor != "sales-1" || u.PurgedAt.IsZero() || u.DeletedAt.IsZero() {
			t.Errorf("%+v", u)
		}
		if ids := s.ids("?status=deleted&q=both@example"); len(ids) != 0 {
			t.Error("it is found by its e-mail")
		}
		s.now = func() time.Time { return time.Now().Add(15 * 24 * time.Hour) }
		s.wantProblem(s.do(http.MethodPost, "/users/both:restore", ""), 410, "gone")
		s.wantProblem(s.do(http.MethodPost, "/users", `{"id":"both","email":"other@example.com","name":"Other"}`), 409, "exists")
		s.user(http.MethodPost, "/users", `{"id":"another","email":"both@example.com","name":"Another"}`)
		s.must(s.store.Verify(t.Context(), "shop"))
		if drift, err := s.store.Drift(t.Context(), "shop"); err != nil || len(drift) != 0 {
			t.Errorf("%v, %v", drift, err)
		}
	})
}

// Req 108: what the tenant demands of accounts holds by hand and by tables.
func TestUser_demanded(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.load("strict", files(map[string]string{"bundle.yaml": `apiVersion: bailiwick/v1
kind: Bundle
tenant: strict
accounts: {email_pattern: '[^@]+@example\.com', required: [external_id]}
`}))
		const path = "/v1/tenants/strict/users"
		p := s.wantProblem(s.send(http.MethodPost, path, s.root, `{"email":"a@example.org","name":"A","external_id":"1"}`), 400, "invalid")
		if p.Details[0].Field != "email" {
			t.Errorf("%+v", p.Details)
		}
		s.wantProblem(s.send(http.MethodPost, path, s.root, `{"email":"a@example.com","name":"A"}`), 400, "invalid")
		p = s.wantProblem(s.send(http.MethodPost, path+":import", s.root, "email,name,external_id\na@example.com,A,\nb@example.org,B,2\n", "Content-Type", "text/csv"), 422, "import_invalid")
		if len(p.Details) != 2 || p.Details[0].Field != "external_id" || p.Details[1].Field != "email" {
			t.Errorf("%+v", p.Details)
		}
		if w := s.send(http.MethodPost, path, s.root, `{"email":"a@example.com","name":"A","external_id":"1"}`); w.Code != 201 {
			t.Error(w.Body)
		}
	})
}

// keptOf counts what is kept of somebody beside the account.
func (s shop) keptOf(id string) int {
	s.t.Helper()
	db, err := sql.Open(s.storage.Driver, s.storage.DSN)
	s.must(err)
	defer db.Close()
	total := 0
	for _, table := range []string{"credential", "session", "one_time_token", "second_factor", "mail"} {
		n := 0
		s.must(db.QueryRowContext(s.t.Context(), "SELECT COUNT(*) FROM "+table+" WHERE user_id = ?", id).Scan(&n))
		total += n
	}
	return total
}
