package httpapi_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

func init() {
	const reports = "/v1/tenants/default/reports"
	maps.Copy(matrix, map[string]entry{
		"GET /v1/tenants/{tenant}/reports/access":  {need: access.KeyRead},
		"GET /v1/tenants/{tenant}/reports/who":     {need: access.KeyRead, path: reports + "/who?section=System.Orders&action=show"},
		"GET /v1/tenants/{tenant}/reports/changes": {need: access.KeyRead},
		"GET /v1/tenants/{tenant}/reports/book":    {need: access.KeyRead},
	})
}

// reported gives the rows of a report, their cells joined.
func reported(r api.Report) []string {
	var all []string
	for _, cells := range r.Rows {
		all = append(all, strings.Join(cells, " | "))
	}
	return all
}

// Req 115: who has what, by which way, since when and by whom, now and before; who
// may do something; what was changed; and all of it in plain words.
func TestReports(t *testing.T) {
	inSample(t, "call-center", func(t *testing.T, s sample) {
		t.Helper()
		loaded := s.revision()
		s.must(wantStatus(s.do(http.MethodPost, "/groups", `{"code":"night","name":"Night","roles":[{"role":"callbacks"}],"reason":"night shift"}`), 201))
		s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"night-1","email":"night-1@example.com","name":"=Night","groups":[{"group":"night","until":"2044-01-01T00:00:00Z"}],"reason":"first of them"}`), 201))

		r := decode[api.Report](t, s.do(http.MethodGet, "/reports/access?group=night&section=Calls.Callbacks", ""))
		want := fmt.Sprintf("night-1 | =Night | night-1@example.com | active | Calls.Callbacks | show, update | * | allow |  | group night > role callbacks | AT | key:test-admin | first of them | %d | 2044-01-01T00:00:00Z", loaded+2)
		got := reported(r)
		if len(got) != 1 || len(r.Rows[0]) != len(r.Columns) {
			t.Fatalf("%v", got)
		}
		at := r.Rows[0][slices.Index(r.Columns, "since")]
		if strings.Replace(got[0], at, "AT", 1) != want {
			t.Errorf("got  %s\nwant %s", got[0], want)
		}
		if made, err := time.Parse(time.RFC3339, at); err != nil || time.Since(made) > time.Hour {
			t.Errorf("since %s", at)
		}

		// As of before, there was nobody; what somebody else has was there all the time.
		before := fmt.Sprintf("as_of=%d", loaded)
		s.wantProblem(s.do(http.MethodGet, "/reports/access?user=night-1&"+before, ""), 404, "not_found")
		if then := decode[api.Report](t, s.do(http.MethodGet, "/reports/access?"+before, "")); then.Revision != loaded || len(then.Rows) == 0 {
			t.Errorf("before: %d rows of revision %d", len(then.Rows), then.Revision)
		}

		who := decode[api.Report](t, s.do(http.MethodGet, "/reports/who?section=Calls.Callbacks&action=update", ""))
		named := false
		for _, row := range who.Rows {
			named = named || row[0] == "user:night-1" && row[1] == "granted_by" && row[3] == "group night > role callbacks"
			s.want(true, row[0], "Calls.Callbacks", "update", "")
		}
		if !named {
			t.Errorf("who: %v", reported(who))
		}

		changes := reported(decode[api.Report](t, s.do(http.MethodGet, fmt.Sprintf("/reports/changes?from=%d", loaded), "")))
		if !slices.ContainsFunc(changes, func(row string) bool { return strings.Contains(row, "night shift | group night added") }) ||
			slices.ContainsFunc(changes, func(row string) bool { return strings.HasPrefix(row, fmt.Sprintf("%d |", loaded)) }) {
			t.Errorf("changes: %v", changes)
		}

		book := reported(decode[api.Report](t, s.do(http.MethodGet, "/reports/book?holder=g:night", "")))
		if !slices.ContainsFunc(book, func(row string) bool {
			return strings.HasPrefix(row, "group night | may show and update ") && strings.HasSuffix(row, "(Calls.Callbacks), by role callbacks.")
		}) {
			t.Errorf("the book: %v", book)
		}
		s.wantProblem(s.do(http.MethodGet, "/reports/book?holder=night", ""), 400, "invalid")
		s.wantProblem(s.do(http.MethodGet, "/reports/who?section=Calls.Callbacks", ""), 400, "invalid")
		s.wantProblem(s.do(http.MethodGet, "/reports/access?group=nihgt", ""), 404, "not_found")
		s.wantProblem(s.do(http.MethodGet, "/reports/access?as_of=yesterday", ""), 400, "invalid")
		s.wantProblem(s.send(http.MethodGet, "/v1/tenants/call-center/reports/access", s.newKey("call-center", access.KeyDecide), ""), 403, "forbidden")

		// A name that is a formula is none in a spreadsheet, nor markup on paper.
		if csv := s.do(http.MethodGet, "/reports/access?user=night-1&format=csv", "").Body.String(); !strings.Contains(csv, "'=Night") {
			t.Errorf("the table: %s", csv)
		}
		s.must(wantStatus(s.do(http.MethodPatch, "/users/night-1", `{"name":"<b>Night</b>"}`), 200))
		w := s.do(http.MethodGet, "/reports/access?user=night-1&format=html", "")
		if body := w.Body.String(); !strings.Contains(body, "&lt;b&gt;Night&lt;/b&gt;") || strings.Contains(body, "<b>Night") || !strings.Contains(w.Header().Get("Content-Security-Policy"), "style-src 'sha256-") ||
			!strings.Contains(body, `<td dir="auto">&lt;b&gt;`) || !strings.Contains(body, "@page{size:landscape") || strings.Contains(body, "://") {
			t.Errorf("the page: %s\n%s", w.Header(), body)
		}
	})
}

// Rights that nobody has used since a moment, by the log of decisions.
func TestReports_dormant(t *testing.T) {
	r := newRecorded(t)
	r.options.Reports = service.NewReports(r.options.History, r.options.Records)
	var err error
	r.server, err = httpapi.NewServer(r.options)
	r.must(err)
	report := func(query string) api.Report {
		return decode[api.Report](t, r.send(http.MethodGet, "/v1/tenants/default/reports/access?user=alice"+query, r.root, ""))
	}
	all := report("&used=true")
	if all.Columns[len(all.Columns)-1] != "last used" || len(all.Rows) == 0 || len(all.Notes) != 1 {
		t.Fatalf("%+v", all)
	}
	dormant := report("&unused_since=2026-01-01T00:00:00Z")
	r.must(wantStatus(r.send(http.MethodPost, "/v1/enforce", r.root, `{"subject":"user:alice","action":"show","section":"System.Orders","scope":"store:eu-1"}`), 200))
	r.flush()
	now := report("&unused_since=2026-01-01T00:00:00Z")
	if len(now.Rows) >= len(dormant.Rows) {
		t.Errorf("%d rights were dormant, %d are after one was used", len(dormant.Rows), len(now.Rows))
	}
	for _, row := range now.Rows {
		if row[4] == "System.Orders" || row[len(row)-1] != "" && row[len(row)-1] >= "2026-01-01" {
			t.Errorf("used, and called dormant: %v", row)
		}
	}
}

// What somebody wrote once, and stands in the history for good, keeps no auditor
// from a report; what a terminal would obey is not let in at all.
func TestReports_oddTexts(t *testing.T) {
	inSample(t, "call-center", func(t *testing.T, s sample) {
		t.Helper()
		for _, reason := range []string{`\u001b[31mred`, `\u202egnol`, `\u0000`, `a\rb`, `\u0085`} {
			p := s.wantProblem(s.do(http.MethodPost, "/groups", `{"code":"odd","name":"Odd","reason":"`+reason+`"}`), 400, "invalid")
			if len(p.Details) != 1 || p.Details[0].Field != "reason" {
				t.Errorf("%s: %+v", reason, p)
			}
			p = s.wantProblem(s.do(http.MethodPost, "/groups", `{"code":"odd","name":"Odd","description":"`+reason+`"}`), 400, "invalid")
			if len(p.Details) != 1 || p.Details[0].Field != "description" {
				t.Errorf("%s: %+v", reason, p)
			}
		}
		s.must(wantStatus(s.do(http.MethodPost, "/groups", `{"code":"odd","name":"Odd","reason":"two\nlines\tof it"}`), 201))
		old := access.Change{Base: access.AnyRevision, Source: "test", Reason: "\x1b[31mred\x00"} // as it could be written once
		_, _, err := s.options.Directory.CreateUser(context.Background(), rootCaller, s.tenant, service.NewUser{ID: "odd-1", Email: "odd-1@example.com", Name: "O", Groups: []access.Link{{To: "operators"}}}, old)
		s.must(err)
		for _, path := range []string{"/reports/access?user=odd-1", "/reports/changes"} {
			for _, format := range []string{"csv", "xlsx", "html", "json"} {
				at := path + map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "format=" + format
				s.must(wantStatus(s.do(http.MethodGet, at, ""), 200))
			}
		}
	})
}
