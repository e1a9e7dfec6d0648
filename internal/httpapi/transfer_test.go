package httpapi_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
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
		if done.Updated != 2 || uint64(done.Revision) != want.Revision+1 {
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

// An export that breaks off does not look whole.
func TestExport_breaksOff(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	var table bytes.Buffer
	table.WriteString("email,name\n")
	for i := range 3000 {
		fmt.Fprintf(&table, "u-%d@example.com,U\n", i)
	}
	s.imports("/users:import", table.String())
	server := httptest.NewServer(s.server.Handler())
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+shopTenant+"/users:export", nil)
	s.must(err)
	request.Header.Set("Authorization", "Bearer "+s.root)
	response, err := http.DefaultClient.Do(request)
	s.must(err)
	defer response.Body.Close()
	s.must(s.store.Close()) // between two pages, or before the last byte was read
	var whole bytes.Buffer
	if _, err := whole.ReadFrom(response.Body); err == nil && strings.Count(whole.String(), "\n") < 3004 {
		t.Errorf("%d lines look like everything", strings.Count(whole.String(), "\n"))
	}
}
