package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// requestTime is how long an answer may take, unless Bounds.Answer is longer.
const requestTime = 3 * time.Second

// policyTime is how long a policy may take to be read, tested and compiled.
const policyTime = 2 * time.Minute

// route is one line of the table: what is registered is what is described.
type route struct {
	method, path string         // parameters in braces, as OpenAPI has them
	need         access.KeyKind // the least kind of key; none when empty
	tenant       bool           // the path names the tenant
	everyTenant  bool           // there is also a path below /t/{tenant}
	authzen      bool           // 400 for a wrong content type
	change       bool           // changes something
	keyless      bool           // takes no Idempotency-Key: its answer shows a secret, or twice is no more than once
	rehearsed    bool           // can be asked what it would do
	inMemory     bool           // waits for nothing, so it needs no time limit
	apart        bool           // takes no place among the work of others: it has bounds of its own
	unfinished   bool           // can be used before sign-in is finished
	sameSite     bool           // cannot be used by other sites, though nobody has signed in yet
	limit        int64          // bytes of the body; maxBody when 0
	time         time.Duration  // requestTime when 0
	query        []param        // what may stand behind the ?
	serve        func(*call) error

	// For the description. The types are those of package api.
	tag, summary, text string
	body               any
	answer             any
	media              string   // of the answer; application/json when empty
	makes, takes       []string // media of an answer and a body that are no JSON
	status             int      // 200 when 0
	also               any      // another answer of the same status
}

// searchText is what holds for all searches.
const searchText = "A search that cannot be finished in time is 503, never a part of the answer. Tenants with a Casbin model of their own can be asked but not searched."

// routes is the API: each noun of the directory has its part in its own file.
// Paths that only exist below /t/{tenant} do not exist.
var routes = rehearsable(append(recalling(slices.Concat(firstRoutes, rightsMatrixRoutes, groupRoutes, roleRoutes, userRoutes, transferRoutes,
	catalogueRoutes, scopeRoutes, licenceRoutes, navigationRoutes, signInRoutes, presenceRoutes, secondFactorRoutes, forgottenRoutes, providerRoutes, linkRoutes, signInPages, settingsRoutes, recordRoutes, revisionRoutes, auditRoutes, reportRoutes)), planRoutes...))

// firstRoutes is everything but the directory.
var firstRoutes = []route{
	{
		method: http.MethodPost, path: "/v1/enforce", everyTenant: true, need: access.KeyDecide, inMemory: true,
		serve: (*call).enforce, tag: "Decisions", summary: "Ask one question",
		text: "A denial is an answer with status 200. Members that are not known are ignored.",
		body: api.Request{}, answer: api.Decision{},
	},
	{
		method: http.MethodPost, path: "/v1/enforce/batch", everyTenant: true, need: access.KeyDecide,
		serve: (*call).enforceBatch, tag: "Decisions", summary: "Ask up to 100 questions at once",
		text: "All are answered from one revision, in their order. A question that breaks a rule is denied with the reason request_invalid.",
		body: api.Batch{}, answer: api.Decisions{},
	},
	{
		method: http.MethodPost, path: "/v1/explain", everyTenant: true, need: access.KeyRead,
		serve: (*call).explain, tag: "Decisions", summary: "Ask one question and be told why",
		body: api.Request{}, answer: api.Explanation{},
	},
	{
		method: http.MethodPost, path: "/v1/search/actions", everyTenant: true, need: access.KeyDecide,
		serve: (*call).searchActions, tag: "Decisions", summary: "Find what a subject may do in one section",
		text: "What is found is what would be allowed if everything were asked one by one. " + searchText,
		body: api.ActionSearch{}, answer: api.FoundActions{},
	},
	{
		method: http.MethodPost, path: "/v1/search/sections", everyTenant: true, need: access.KeyDecide,
		serve: (*call).searchSections, tag: "Decisions", summary: "Find where a subject may do something",
		text: "Without an action it gives everything that the subject may do anywhere, for instance for a menu. " + searchText,
		body: api.SectionSearch{}, answer: api.FoundSections{},
	},
	{
		method: http.MethodPost, path: "/v1/search/subjects", everyTenant: true, need: access.KeyRead,
		serve: (*call).searchSubjects, tag: "Decisions", summary: "Find who may do something",
		text: "Users, applications and anonymous, page by page, in the order of their bytes. It lists people, so a key that only decides does not do. " +
			"A page token belongs to one search and one revision; after a change it is refused with 409 and the code stale, and the search begins again. " + searchText,
		body: api.SubjectSearch{}, answer: api.FoundSubjects{},
	},
	{
		method: http.MethodPost, path: "/access/v1/evaluation", everyTenant: true, need: access.KeyDecide, authzen: true, inMemory: true,
		serve: (*call).evaluation, tag: "AuthZEN", summary: "Ask one question by OpenID AuthZEN 1.0",
		body: api.Evaluation{}, answer: api.EvaluationAnswer{},
	},
	{
		method: http.MethodPost, path: "/access/v1/evaluations", everyTenant: true, need: access.KeyDecide, authzen: true,
		serve: (*call).evaluations, tag: "AuthZEN", summary: "Ask up to 100 questions by OpenID AuthZEN 1.0",
		text: "Without a list it answers like /access/v1/evaluation. With deny_on_first_deny and permit_on_first_permit the answer ends with the decision that settled it.",
		body: api.Evaluations{}, answer: api.EvaluationAnswers{}, also: api.EvaluationAnswer{},
	},
	{
		method: http.MethodPost, path: "/access/v1/search/subject", everyTenant: true, need: access.KeyRead, authzen: true,
		serve: (*call).querySubjects, tag: "AuthZEN", summary: "Find subjects by OpenID AuthZEN 1.0",
		text: "Page tokens are those of /v1/search/subjects. " + searchText,
		body: api.SubjectQuery{}, answer: api.SubjectResults{},
	},
	{
		method: http.MethodPost, path: "/access/v1/search/action", everyTenant: true, need: access.KeyDecide, authzen: true,
		serve: (*call).queryActions, tag: "AuthZEN", summary: "Find actions by OpenID AuthZEN 1.0",
		text: searchText, body: api.ActionQuery{}, answer: api.ActionResults{},
	},
	{
		method: http.MethodGet, path: "/.well-known/authzen-configuration", everyTenant: true,
		serve: (*call).authzenConfiguration, tag: "AuthZEN", summary: "Where AuthZEN clients ask",
		answer: api.AuthZENConfiguration{},
	},
	{
		method: http.MethodGet, path: "/.well-known/authzen-configuration/t/{tenant}", tenant: true,
		serve: (*call).authzenConfiguration, tag: "AuthZEN", summary: "Where AuthZEN clients of one tenant ask",
		answer: api.AuthZENConfiguration{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants", need: access.KeyRead,
		serve: (*call).listTenants, tag: "Administration", summary: "List tenants",
		text: "A key of one tenant sees that one only.", answer: api.Tenants{},
	},
	{
		method: http.MethodPost, path: "/v1/tenants", need: access.KeyAdmin, change: true,
		serve: (*call).createTenant, tag: "Administration", summary: "Create a tenant",
		text: "Only for keys of all tenants. The new tenant allows nothing, unless a template is named: one of the sample policies, whose catalogue, roles and groups it begins with.",
		body: api.Tenant{}, answer: api.Tenant{}, status: http.StatusCreated,
	},
	{
		method: http.MethodPut, path: "/v1/tenants/{tenant}/policy", tenant: true, need: access.KeyAdmin, change: true,
		limit: maxPolicyBody, time: policyTime,
		serve: (*call).loadPolicy, tag: "Administration", summary: "Put a policy into force",
		text: "The files are checked, their decision tests are run and they are compiled before anything is written. On any mistake the last good revision stays in force.",
		body: api.Policy{}, answer: api.PolicyLoaded{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/keys", tenant: true, need: access.KeyAdmin,
		serve: (*call).listKeys, tag: "Administration", summary: "List API keys",
		text: "Write * for the keys of all tenants.", answer: api.Keys{},
	},
	{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/keys", tenant: true, need: access.KeyAdmin, change: true, keyless: true,
		serve: (*call).createKey, tag: "Administration", summary: "Create an API key",
		text: "The text of the key is shown in this answer only.",
		body: api.NewKey{}, answer: api.CreatedKey{}, status: http.StatusCreated,
	},
	{
		method: http.MethodDelete, path: "/v1/tenants/{tenant}/keys/{id}", tenant: true, need: access.KeyAdmin, change: true,
		query: []param{reasonParam},
		serve: (*call).revokeKey, tag: "Administration", summary: "Revoke an API key",
		status: http.StatusNoContent,
	},
	{
		method: http.MethodGet, path: "/v1/status", need: access.KeyRead,
		serve: (*call).status, tag: "Operation", summary: "Tell how the servers and their tenants do",
		text: "A key of one tenant sees that one only. A key of all tenants sees all servers over the same store, caches and work.", answer: api.Status{},
	},
	{
		method: http.MethodGet, path: "/livez", serve: (*call).livez, tag: "Operation",
		summary: "Tell whether the process works", answer: api.Health{},
	},
	{
		method: http.MethodGet, path: "/readyz", serve: (*call).readyz, tag: "Operation",
		summary: "Tell whether questions are answered", answer: api.Health{},
		text: "503 when they are not. The status degraded means that they are, and something needs attention.",
	},
	{
		method: http.MethodGet, path: "/metrics", serve: (*call).metricsPage, tag: "Operation",
		summary: "Measure, for Prometheus", media: "text/plain",
	},
	{
		method: http.MethodGet, path: "/openapi.json", serve: (*call).openAPI, tag: "Operation",
		summary: "Describe this API in OpenAPI 3.1", media: "application/json",
	},
	{
		method: http.MethodGet, path: "/docs", serve: (*call).docs, tag: "Operation",
		summary: "Describe this API for people", media: "text/html",
	},
}

// allRoutes is the table with the paths below /t/{tenant} written out.
func allRoutes() []*route {
	var all []*route
	for i := range routes {
		all = append(all, &routes[i])
		if routes[i].everyTenant {
			below := routes[i]
			below.path, below.tenant = "/t/{tenant}"+below.path, true
			all = append(all, &below)
		}
	}
	return all
}

// ginPath writes {tenant} as :tenant.
func ginPath(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(path, "{", ":"), "}", "")
}

func (r *route) bodyLimit() int64 {
	if r.limit == 0 {
		return maxBody
	}
	return r.limit
}

// work tells what kind of work a request is before its body is read; false for
// questions, where it depends on what is asked.
func (r *route) work() (work, bool) {
	if r.apart {
		return searches, false
	}
	if r.change {
		return writes, true
	}
	return searches, r.need != "" && r.body == nil
}

func (r *route) timeLimit() time.Duration {
	if r.inMemory || r.need == "" && !r.apart {
		return 0
	}
	if r.time == 0 {
		return requestTime
	}
	return r.time
}
