package httpapi

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const reportPath = "/v1/tenants/{tenant}/reports/"

const reportText = "Needs the right to show Access.Audit. It is whole: what would be longer than 200,000 rows is refused, never cut. "

var reportFormat = param{name: "format", oneOf: []string{"json", "csv", "xlsx", "html"}, text: "How it is written; json when left out. html is for printing."}

var reportRoutes = []route{
	reportRoute("access", "Report who has what", "Every right of every user: by which way it comes, since when, by whose revision and why, until when, and when it was last used.",
		(*call).accessReport,
		param{name: "user", text: "Only this user."}, param{name: "group", text: "Only users in this group."},
		param{name: "section", text: "Only rights on this section and those below it."},
		param{name: "used", kind: flagParam, text: "Tell when each right was last used, by the log of decisions."},
		param{name: "unused_since", kind: momentParam, text: "Only rights that were not used at this moment or later: dormant ones."},
		asOfParam),
	reportRoute("who", "Report who may do something", "Every subject that is allowed it, and by which rule.",
		(*call).whoReport, param{name: "section"}, param{name: "action"}, param{name: "scope"}, asOfParam),
	reportRoute("changes", "Report what was changed between two dates", "Newest first, one row for each thing that was changed.",
		(*call).changesReport, param{name: "from", kind: stateParam, text: "A revision or a time; from the beginning when left out."}, param{name: "to", kind: stateParam, text: "A revision or a time; now when left out."}),
	reportRoute("book", "Tell a policy in plain words", "One sentence for each rule, for one holder or for every group.",
		(*call).bookReport, param{name: "holder", text: "As in rules, for instance g:sales or u:42; every group when left out."}, asOfParam),
}

func reportRoute(name, summary, text string, serve func(*call) error, query ...param) route {
	return route{
		method: http.MethodGet, path: reportPath + name, tenant: true, need: access.KeyRead, time: policyTime, query: append(query, reportFormat),
		serve: serve, tag: "Administration", summary: summary, text: text + " " + reportText, answer: api.Report{},
	}
}

func (c *call) accessReport() error {
	r, err := c.api.o.Reports.Access(c.ctx(), c.caller, c.tenant, service.AccessQuery{
		Of: c.state(queryAsOf), User: c.word("user"), Group: c.word("group"), Section: access.Section(c.word("section")),
		Used: c.word("used") == "true", UnusedSince: c.moment("unused_since"),
	})
	return c.report(&r, err)
}

func (c *call) whoReport() error {
	ask := access.Request{Section: access.Section(c.word("section")), Scope: access.Scope(c.word("scope")), Actions: []access.Action{access.Action(c.word("action"))}}
	if ask.Section == "" || ask.Actions[0] == "" {
		return access.Invalid("section", "is required, and action too")
	}
	if ask.Scope == "" {
		ask.Scope = access.Everywhere
	}
	r, err := c.api.o.Reports.Who(c.ctx(), c.caller, c.tenant, ask, c.state(queryAsOf))
	return c.report(&r, err)
}

func (c *call) changesReport() error {
	r, err := c.api.o.Reports.Changes(c.ctx(), c.caller, c.tenant, c.state("from"), c.state("to"))
	return c.report(&r, err)
}

func (c *call) bookReport() error {
	r, err := c.api.o.Reports.Book(c.ctx(), c.caller, c.tenant, c.word("holder"), c.state(queryAsOf))
	return c.report(&r, err)
}

// report sends a report in the format that was asked for.
func (c *call) report(r *service.Report, err error) error {
	if err != nil {
		return err
	}
	switch format := c.word("format"); format {
	case "csv", "xlsx":
		name := c.route.path[len(reportPath):]
		t := c.table(name, r.Columns...)
		return t.close(len(r.Rows), t.page(len(r.Rows), func(i int) []string { return r.Rows[i] }))
	case "html":
		return c.reportPage(r)
	}
	return c.reply(http.StatusOK, api.Report{
		Title: r.Title, Revision: uint64(r.State.Revision), AsOf: utc(r.State.At), Columns: r.Columns, Rows: slices.Concat([][]string{}, r.Rows), Notes: r.Notes,
	})
}

//go:embed report.html
var reportHTML string

var reportTemplate = template.Must(template.New("report").Parse(reportHTML))

// reportStyle also prints: across, with numbers of pages; rows stay together,
// heads come again on each page, and only words that are too long are broken.
const reportStyle = `body{font:14px/1.4 system-ui,sans-serif;margin:2rem;color:#1c2430;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:start;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #d5dae1}
th{border-bottom:2px solid #1c2430;white-space:nowrap}td{max-width:20ch;overflow-wrap:break-word}td:only-child,td:last-child{max-width:none;overflow-wrap:anywhere}
tr{break-inside:avoid}thead{display:table-header-group}
@page{size:landscape;margin:12mm;@bottom-right{content:counter(page) " / " counter(pages);font:8px sans-serif}}
@media print{body{font-size:8px;margin:0}th,td{padding:.2rem .3rem}}
@media (prefers-color-scheme:dark) and (not print){body{color:#e6e9ee;background:#14181f}th,td{border-color:#3a4352}}`

// reportSource lets the page have its own style and nothing else.
var reportSource = func() string {
	sum := sha256.Sum256([]byte(reportStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'"
}()

func (c *call) reportPage(r *service.Report) error {
	var page strings.Builder
	err := reportTemplate.Execute(&page, map[string]any{
		"Title": r.Title, "Tenant": c.tenant, "Revision": r.State.Revision, "AsOf": r.State.At.UTC().Format(time.RFC3339),
		"Made": c.api.o.Clock().UTC().Format(time.RFC3339), "For": c.caller.Name, "Style": template.CSS(reportStyle), //nolint:gosec // it is ours
		"Columns": r.Columns, "Rows": r.Rows, "Notes": r.Notes,
	})
	if err != nil {
		return err
	}
	h := c.g.Writer.Header()
	h["Content-Type"] = []string{"text/html; charset=utf-8"}
	h["Content-Security-Policy"] = []string{reportSource}
	c.write(http.StatusOK, []byte(page.String()))
	return nil
}
