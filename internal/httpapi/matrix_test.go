package httpapi_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/store"
)

// actors are the nine kinds of callers, in the order of the letters of outcomes.
var actors = []string{
	"nobody",              // without credentials
	"decide key",          // of the tenant
	"read key",            // of the tenant
	"admin key",           // of the tenant
	"foreign admin key",   // of another tenant
	"operator",            // handles the orders of one store, manages nobody
	"store administrator", // manages the customers of one store
	"delegate",            // manages users everywhere, holds little else
	"superuser",
}

// personas tells as whom the actors sign in that are no keys.
var personas = map[string]string{
	"operator": "operator-1", "store administrator": "admin-1", "delegate": "delegate-1", "superuser": "root",
}

// Outcomes: + it is done, - 403, ? 401, 0 404, c 409: he may, but there is
// nothing that it could be done to; b 400: he may, but not what he sends.
var outcomes = map[rune]string{'+': "2xx", '-': "403", '?': "401", '0': "404", 'c': "409", 'b': "400"}

// expectation is what becomes of one request to a route, for each actor.
type expectation struct {
	want  string // a letter for each actor
	body  string
	path  string // with the parameters of examples when empty
	media string // of the body; application/json when empty
}

// examples are what parameters of paths stand for, by the noun before them.
var examples = map[string]string{
	"{tenant}": "default", "groups/{code}": "groups/eu-registered", "roles/{code}": "roles/clerk", "users/{id}": "users/customer-1",
	"members/{user}": "members/customer-3", "{application}": "shop", "{scope}": "store:eu", "{feature}": "reports", "keys/{id}": "keys/{key}", "{revision}": "2",
}

const (
	askAbout   = `{"subject":"user:customer-1","action":"show","section":"Orders","scope":"store:eu"}`
	evaluation = `{"subject":{"type":"user","id":"customer-1"},"action":{"name":"show"},"resource":{"type":"Orders","id":"7","properties":{"scope":"store:eu"}}}`
	table      = "email,name\ncustomer-8@example.com,Customer\n"
	usersPath  = "/v1/tenants/default/users/"
)

// whoMay says who may do what: security.md of the documentation in letters. Every
// route that is not public has its line. The operations are such that a store
// administrator and a delegate may do them to somebody, if they may do them at
// all; what they may not do to whom is in the other tests of delegation.
//
// In order: nobody, keys (decide, read, admin, foreign), operator, store
// administrator, delegate, superuser.
var whoMay = map[string]expectation{
	"POST /v1/enforce":                   {want: "?+++--+++", body: askAbout},
	"POST /v1/enforce/batch":             {want: "?+++--+++", body: `{"requests":[` + askAbout + `]}`},
	"POST /v1/explain":                   {want: "?-++----+", body: askAbout},
	"POST /v1/matrix":                    {want: "?-++----+", body: `{}`},
	"POST /v1/search/actions":            {want: "?+++--+++", body: `{"subject":"user:customer-1","section":"Orders"}`},
	"POST /v1/search/sections":           {want: "?+++--+++", body: `{"subject":"user:customer-1"}`},
	"POST /v1/search/subjects":           {want: "?-++--+++", body: `{"action":"show","section":"Orders"}`},
	"POST /access/v1/evaluation":         {want: "?+++--+++", body: evaluation},
	"POST /access/v1/evaluations":        {want: "?+++--+++", body: `{"evaluations":[` + evaluation + `]}`},
	"POST /access/v1/search/subject":     {want: "?-++--+++", body: `{"subject":{"type":"user"},"action":{"name":"show"},"resource":{"type":"Orders","id":"7"}}`},
	"POST /access/v1/search/action":      {want: "?+++--+++", body: `{"subject":{"type":"user","id":"customer-1"},"resource":{"type":"Orders","id":"7"}}`},
	"GET /v1/rights":                     {want: "?++++++++", path: "/v1/rights?crud=10"},
	"GET /v1/status":                     {want: "?-+++---+"},
	"GET /v1/tenants":                    {want: "?-+++++++"},
	"POST /v1/tenants":                   {want: "?--------", body: `{"code":"mine"}`},
	"PUT /v1/tenants/{tenant}/policy":    {want: "?--b----b", body: `{"files":{"bundle.yaml":"apiVersion: bailiwick/v1\nkind: Bundle\ntenant: default\n"},"dry_run":true}`},
	"GET /v1/tenants/{tenant}/revisions": {want: "?-++----+"},

	"GET /v1/tenants/{tenant}/revisions/{revision}":               {want: "?-++----+"},
	"POST /v1/tenants/{tenant}/revisions/{revision}:revert":       {want: "?--+----+", body: `{}`, path: "/v1/tenants/default/revisions/{last}:revert"},
	"POST /v1/tenants/{tenant}/revisions:rollback":                {want: "?--+----+", body: `{"to":"{last}","reason":"a test"}`},
	"GET /v1/tenants/{tenant}/diff":                               {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/blame":                              {want: "?-++----+", path: "/v1/tenants/default/blame?holder=u:customer-1"},
	"GET /v1/tenants/{tenant}/groups/{code}/history":              {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/roles/{code}/history":               {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/users/{id}/history":                 {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/scopes/{scope}/history":             {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/applications/{application}/history": {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/decisions":                          {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/decisions/{id}":                     {want: "?-00----0", path: "/v1/tenants/default/decisions/unknown"},
	"POST /v1/tenants/{tenant}/decisions/{id}:replay":             {want: "?-00----0", path: "/v1/tenants/default/decisions/unknown:replay"},

	"GET /v1/tenants/{tenant}/settings":        {want: "?-++----+"},
	"PATCH /v1/tenants/{tenant}/settings":      {want: "?--+----+", body: `{"sign_in":{"min_length":13}}`},
	"GET /v1/tenants/{tenant}/policy":          {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/reports/who":     {want: "?-++----+", path: "/v1/tenants/default/reports/who?section=Orders&action=show"},
	"GET /v1/tenants/{tenant}/reports/changes": {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/reports/book":    {want: "?-++----+"},
	"POST /v1/tenants/{tenant}/policy:plan":    {want: "?-bb----b", body: `{"files":{"bundle.yaml":"apiVersion: bailiwick/v1\nkind: Bundle\ntenant: default\n"}}`},
	"GET /v1/tenants/{tenant}/guarantees":      {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/reports/access":  {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/refusals":        {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/trail":           {want: "?-++----+"},
	"PATCH /v1/session/profile":                {want: "?????++++", body: `{"name":"Another"}`},
	"GET /v1/tenants/{tenant}/keys":            {want: "?--+----+"},
	"POST /v1/tenants/{tenant}/keys":           {want: "?--+----+", body: `{"kind":"decide","name":"made"}`},
	"DELETE /v1/tenants/{tenant}/keys/{id}":    {want: "?--+----+"},

	"GET /v1/tenants/{tenant}/applications":                         {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/applications/{application}":           {want: "?-++----+"},
	"PUT /v1/tenants/{tenant}/applications/{application}/catalogue": {want: "?--+----+", body: `{"name":"Shop","sections":[{"path":"Orders","name":"All orders","actions":[{"name":"produce"}]}]}`},
	"PUT /v1/tenants/{tenant}/applications/{application}/rights":    {want: "?--+----+", body: `{"roles":[],"grants":[{"section":"Orders","rights":["show"]}]}`},
	"DELETE /v1/tenants/{tenant}/applications/{application}":        {want: "?--+----+", path: "/v1/tenants/default/applications/spare"},
	"GET /v1/tenants/{tenant}/rights-catalogue":                     {want: "?-++--+-+"},
	"GET /v1/tenants/{tenant}/licences":                             {want: "?-++----+"},
	"PUT /v1/tenants/{tenant}/licences/{feature}":                   {want: "?--+----+", body: `{"seats":7}`},
	"DELETE /v1/tenants/{tenant}/licences/{feature}":                {want: "?--+----+", path: "/v1/tenants/default/licences/spare"},
	"GET /v1/tenants/{tenant}/scopes":                               {want: "?-++----+"},
	"POST /v1/tenants/{tenant}/scopes":                              {want: "?--+----+", body: `{"scope":"store:mine","name":"Mine"}`},
	"GET /v1/tenants/{tenant}/scopes/{scope}":                       {want: "?-++----+"},
	"PATCH /v1/tenants/{tenant}/scopes/{scope}":                     {want: "?--+----+", body: `{"name":"Europe"}`},
	"DELETE /v1/tenants/{tenant}/scopes/{scope}":                    {want: "?--+----+", path: "/v1/tenants/default/scopes/store:spare"},

	"GET /v1/tenants/{tenant}/groups":                          {want: "?-++--+-+"},
	"POST /v1/tenants/{tenant}/groups":                         {want: "?--+----+", body: `{"code":"mine","name":"Mine"}`},
	"GET /v1/tenants/{tenant}/groups/{code}":                   {want: "?-++--+-+"},
	"PATCH /v1/tenants/{tenant}/groups/{code}":                 {want: "?--+----+", body: `{"name":"Mine"}`},
	"DELETE /v1/tenants/{tenant}/groups/{code}":                {want: "?--+----+", path: "/v1/tenants/default/groups/spare"},
	"PUT /v1/tenants/{tenant}/groups/{code}/rights":            {want: "?--+----+", body: `{"grants":[{"section":"Orders","rights":["show"]}]}`},
	"GET /v1/tenants/{tenant}/groups/{code}/permissions":       {want: "?-++--+-+"},
	"GET /v1/tenants/{tenant}/groups/{code}/members":           {want: "?-++--+-+"},
	"GET /v1/tenants/{tenant}/groups/{code}/summary":           {want: "?-++--+-+"},
	"POST /v1/tenants/{tenant}/groups/{code}/members":          {want: "?--+--+++", body: `{"members":[{"user":"guest-1"}]}`},
	"POST /v1/tenants/{tenant}/groups/{code}/members/move":     {want: "?--+--+++", body: `{"users":["customer-1"],"move_to":"eu-guests"}`},
	"DELETE /v1/tenants/{tenant}/groups/{code}/members/{user}": {want: "?--+--+++"},
	"GET /v1/tenants/{tenant}/groups/{code}/users/{id}":        {want: "?-++--+++"},

	"GET /v1/tenants/{tenant}/roles":                    {want: "?-++----+"},
	"POST /v1/tenants/{tenant}/roles":                   {want: "?--+----+", body: `{"code":"mine","name":"Mine"}`},
	"GET /v1/tenants/{tenant}/roles/{code}":             {want: "?-++----+"},
	"PATCH /v1/tenants/{tenant}/roles/{code}":           {want: "?--+----+", body: `{"name":"Mine"}`},
	"DELETE /v1/tenants/{tenant}/roles/{code}":          {want: "?--+----+", path: "/v1/tenants/default/roles/spare"},
	"GET /v1/tenants/{tenant}/roles/{code}/permissions": {want: "?-++----+"},

	"GET /v1/tenants/{tenant}/users":                                 {want: "?-++--+++"},
	"POST /v1/tenants/{tenant}/users":                                {want: "?--+--+++", body: `{"email":"customer-9@example.com","name":"Customer","groups":[{"group":"eu-registered"}]}`},
	"POST /v1/tenants/{tenant}/users:bulk":                           {want: "?--+--+++", body: `{"operations":[{"op":"deactivate","id":"customer-1"}]}`},
	"POST /v1/tenants/{tenant}/users/{id}:hand-over":                 {want: "?--+--+++", body: `{"to":"customer-1"}`, path: usersPath + "customer-deleted:hand-over"},
	"POST /v1/tenants/{tenant}/users/{id}:invite":                    {want: "?--c--ccc", body: `{}`},
	"POST /v1/tenants/{tenant}/users/{id}:resend":                    {want: "?--c--ccc", body: `{}`},
	"GET /v1/tenants/{tenant}/users:export":                          {want: "?-++--+++"},
	"POST /v1/tenants/{tenant}/users:import":                         {want: "?--+--+++", body: table, media: "text/csv", path: "/v1/tenants/default/users:import?group=eu-registered"},
	"GET /v1/tenants/{tenant}/users:import-template":                 {want: "?-++--+++"},
	"GET /v1/tenants/{tenant}/groups:export":                         {want: "?-++--+-+"},
	"GET /v1/tenants/{tenant}/groups/{code}/members:export":          {want: "?-++--+-+"},
	"POST /v1/tenants/{tenant}/groups/{code}/members:import":         {want: "?--+--+++", body: table, media: "text/csv"},
	"GET /v1/tenants/{tenant}/grants:export":                         {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/licences/{feature}":                    {want: "?-++----+"},
	"GET /v1/tenants/{tenant}/users/{id}/permissions":                {want: "?-++--+++"},
	"GET /v1/tenants/{tenant}/users/{id}":                            {want: "?-++--+++"},
	"PATCH /v1/tenants/{tenant}/users/{id}":                          {want: "?--+--+++", body: `{"name":"Another"}`},
	"DELETE /v1/tenants/{tenant}/users/{id}":                         {want: "?--+--+++"},
	"POST /v1/tenants/{tenant}/users/{id}:restore":                   {want: "?--+--+++", body: `{}`, path: usersPath + "customer-deleted:restore"},
	"POST /v1/tenants/{tenant}/users/{id}:activate":                  {want: "?--+--+++", body: `{}`, path: usersPath + "customer-disabled:activate"},
	"POST /v1/tenants/{tenant}/users/{id}:deactivate":                {want: "?--+--+++", body: `{}`},
	"PUT /v1/tenants/{tenant}/users/{id}/groups":                     {want: "?--+--+++", body: `{"groups":[{"group":"eu-guests"}]}`},
	"POST /v1/tenants/{tenant}/users/{id}/groups:add":                {want: "?--+--+++", body: `{"groups":[{"group":"eu-guests"}]}`},
	"POST /v1/tenants/{tenant}/users/{id}/groups:remove":             {want: "?--+--+++", body: `{"groups":[{"group":"eu-registered"}]}`, path: usersPath + "customer-3/groups:remove"},
	"POST /v1/tenants/{tenant}/users/{id}/groups:reorder":            {want: "?--+--+++", body: `{"groups":[{"group":"eu-guests"},{"group":"eu-registered"}]}`, path: usersPath + "customer-3/groups:reorder"},
	"PUT /v1/tenants/{tenant}/users/{id}/roles":                      {want: "?--+--+++", body: `{"roles":[{"role":"clerk","scope":"store:eu"}]}`},
	"POST /v1/tenants/{tenant}/users/{id}/roles:add":                 {want: "?--+--+++", body: `{"roles":[{"role":"clerk","scope":"store:eu"}]}`},
	"POST /v1/tenants/{tenant}/users/{id}/roles:remove":              {want: "?--+--+++", body: `{"roles":[{"role":"clerk"}]}`, path: usersPath + "customer-3/roles:remove"},
	"PUT /v1/tenants/{tenant}/users/{id}/grants":                     {want: "?--+--+++", body: `{"grants":[{"section":"Orders","rights":["insert"],"scope":"store:eu"}]}`},
	"PUT /v1/tenants/{tenant}/users/{id}/menu":                       {want: "?--+--+++", body: `{"menu":["Orders"]}`},
	"POST /v1/tenants/{tenant}/users/{id}/licences:add":              {want: "?--+--+++", body: `{"licences":["reports"]}`},
	"POST /v1/tenants/{tenant}/users/{id}/licences:remove":           {want: "?--+--+++", body: `{"licences":["reports"]}`, path: usersPath + "customer-3/licences:remove"},
	"PUT /v1/tenants/{tenant}/users/{id}/applications/{application}": {want: "?--+--+++", body: `{"enabled":false}`},
	"GET /v1/tenants/{tenant}/users/{id}/navigation":                 {want: "?+++--+++"},
	"GET /v1/tenants/{tenant}/users/{id}/capabilities":               {want: "?+++--+++"},
	"POST /v1/sign-out":                                              {want: "?????++++"},
	"GET /v1/session":                                                {want: "?????++++"},
	"PUT /v1/session/password":                                       {want: "?????++++", body: `{"current":"` + ownPassword + `","password":"a third one, longer 3"}`},
	"GET /v1/session/presence":                                       {want: "?????++++"},
	"PUT /v1/session/presence":                                       {want: "?????++++", body: `{"status":"busy"}`},
	"GET /v1/sessions":                                               {want: "?????++++"},
	"DELETE /v1/sessions":                                            {want: "?????++++"},
	"DELETE /v1/sessions/{id}":                                       {want: "?????0000", path: "/v1/sessions/unknown"},
	"GET /v1/session/second-factor":                                  {want: "?????++++"},
	"POST /v1/session/second-factor":                                 {want: "?????++++", body: `{"password":"` + ownPassword + `"}`},
	"POST /v1/session/second-factor:confirm":                         {want: "?????cccc", body: `{"code":"123456"}`},
	"POST /v1/session/second-factor:verify":                          {want: "?????cccc", body: `{"code":"123456"}`},
	"POST /v1/session/second-factor:disable":                         {want: "?????cccc", body: `{}`},
	"POST /v1/session/second-factor/recovery-codes":                  {want: "?????cccc", body: `{}`},
	"GET /v1/tenants/{tenant}/users/{id}/second-factor":              {want: "?-++--+++"},
	"POST /v1/tenants/{tenant}/users/{id}/second-factor:reset":       {want: "?--+--+++", body: `{}`},
	"PUT /v1/tenants/{tenant}/users/{id}/password":                   {want: "?--+--+++", body: `{"password":"` + firstPassword + `"}`},
	"GET /v1/tenants/{tenant}/users/{id}/sign-in":                    {want: "?-++--+++"},
	"GET /v1/tenants/{tenant}/users/{id}/sessions":                   {want: "?-++--+++"},
	"DELETE /v1/tenants/{tenant}/users/{id}/sessions":                {want: "?--+--+++"},
	"POST /v1/tenants/{tenant}/users/{id}:unlock":                    {want: "?--+--+++", body: `{}`},
	"POST /v1/tenants/{tenant}/users/{id}/signature:render":          {want: "?+++--+++", body: `{"context":"text"}`},
}

// public routes want nobody's name.
var public = []string{
	"GET /.well-known/authzen-configuration", "GET /t/{tenant}/.well-known/authzen-configuration",
	"GET /.well-known/authzen-configuration/t/{tenant}", "POST /v1/tenants/{tenant}/sign-in",
	"POST /v1/tenants/{tenant}/password-reset", "POST /v1/tenants/{tenant}/activate", "POST /v1/tenants/{tenant}/reset-password", "POST /v1/tenants/{tenant}/sign-in-link",
	"POST /v1/tenants/{tenant}/first-superuser", "GET /sign-in", "GET /activate", "GET /reset-password", "GET /first-superuser", "GET /sign-in.js",
	"GET /v1/tenants/{tenant}/sign-in/providers", "GET /v1/tenants/{tenant}/sign-in/providers/{provider}",
	"GET /v1/tenants/{tenant}/sign-in/providers/{provider}/callback",
	"GET /livez", "GET /readyz", "GET /metrics", "GET /openapi.json", "GET /docs",
}

// Req 52, 98, 99, 100, 117: who may do what, for every route and every kind of
// caller. What is refused changes nothing at all. It kills: a route whose service
// does not ask, and one that asks for the wrong right.
func TestMatrix(t *testing.T) {
	m := newMatrixHouse(t)
	routes := httpapi.Routes()
	for _, r := range routes {
		name := r.Method + " " + r.Path
		if slices.Contains(public, name) != (r.Need == "") {
			t.Errorf("%s is public or not, against what this test says", name)
		}
		if r.Need == "" {
			continue
		}
		e, known := whoMay[r.Method+" "+strings.TrimPrefix(r.Path, "/t/{tenant}")]
		if !known || len(e.want) != len(actors) {
			t.Errorf("nobody has said who may use %s: give it a line with %d letters in the table of this test", name, len(actors))
			continue
		}
		t.Run(name, func(t *testing.T) { m.check(t, r, e) })
	}
	for name := range whoMay {
		if !slices.ContainsFunc(routes, func(r httpapi.Route) bool { return r.Method+" "+r.Path == name }) {
			t.Errorf("there is no route %s", name)
		}
	}
}

// matrixHouse is the shop as tenant default, for actors of all kinds.
type matrixHouse struct {
	*house
	actors map[string]actor
	spare  string // id of a key that can be revoked
	last   string // number of a revision that can be reverted
}

// actor is how a caller shows who he is.
type actor struct{ key, cookie, csrf string }

func newMatrixHouse(t *testing.T) *matrixHouse {
	t.Helper()
	m := &matrixHouse{house: openHouse(t, sqliteFile(t)), actors: map[string]actor{"nobody": {}}}
	m.begin(printShop)
	m.load("other", printShop)
	at := func(method, path, body string) {
		t.Helper()
		if w := m.send(method, "/v1/tenants/default"+path, m.root, body); w.Code/100 != 2 {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
	at("POST", "/groups", `{"code":"spare","name":"Spare"}`)
	at("POST", "/groups", `{"code":"eu-guests","name":"EU guests","base":"customer","scopes":["store:eu"]}`)
	at("POST", "/roles", `{"code":"clerk","name":"Clerk","grants":[{"section":"Orders","rights":["show"]}]}`)
	at("POST", "/roles", `{"code":"spare","name":"Spare"}`)
	at("POST", "/scopes", `{"scope":"store:spare","name":"Spare"}`)
	at("PUT", "/applications/spare/catalogue", `{"name":"Spare","sections":[]}`)
	at("PUT", "/licences/reports", `{"seats":5}`)
	at("PUT", "/licences/spare", `{"seats":5}`)
	at("POST", "/users", `{"id":"customer-3","name":"Customer","email":"customer-3@example.com","groups":[{"group":"eu-registered"},{"group":"eu-guests"}],"roles":[{"role":"clerk","scope":"store:eu"}],"licences":["reports"]}`)
	at("POST", "/users", `{"id":"customer-disabled","name":"Customer","email":"customer-4@example.com","status":"disabled","groups":[{"group":"eu-registered"}]}`)
	at("POST", "/users", `{"id":"customer-deleted","name":"Customer","email":"customer-5@example.com","groups":[{"group":"eu-registered"}]}`)
	at("DELETE", "/users/customer-deleted", "")
	for kind, text := range m.key {
		m.actors[string(kind)+" key"] = actor{key: text}
	}
	m.actors["foreign admin key"] = actor{key: m.newKey("other", access.KeyAdmin)}
	for name, id := range personas {
		m.actors[name] = m.signIn("default", id)
	}
	_, spare, err := m.keys.Create(context.Background(), rootCaller, "default", access.KeyDecide, "spare")
	m.must(err)
	m.spare = spare.ID
	renamed := decode[api.Group](t, m.send(http.MethodPatch, "/v1/tenants/default/groups/spare", m.root, `{"name":"Renamed"}`))
	m.last = strconv.FormatUint(renamed.Revision, 10)
	return m
}

// check sends one request as each actor. What changes something is done in a copy
// of the house, so that everybody meets the same.
func (m *matrixHouse) check(t *testing.T, r httpapi.Route, e expectation) {
	t.Helper()
	path := m.pathOf(r, e)
	m.must(m.follower.Poll(context.Background())) // nobody else does
	before := m.footprint()
	for i, letter := range e.want {
		name, h := actors[i], m.house
		if letter == '+' && r.Change {
			h = m.copied(t)
		}
		w := h.as(m.actors[name], r.Method, path, m.filled(e.body), e.media)
		if got := letterOf(w.Code); got != letter {
			t.Errorf("%s: %d, want %s: %s", name, w.Code, outcomes[letter], w.Body)
		}
		if letter == '-' && !strings.Contains(w.Body.String(), `"code":"forbidden"`) {
			t.Errorf("%s: the refusal is no problem document: %s", name, w.Body)
		}
	}
	for table, sum := range m.footprint() {
		if before[table] != sum {
			t.Errorf("a refused or a reading request changed the table %s", table)
		}
	}
}

func letterOf(status int) rune {
	switch {
	case status/100 == 2:
		return '+'
	case status == http.StatusForbidden:
		return '-'
	case status == http.StatusUnauthorized:
		return '?'
	case status == http.StatusNotFound:
		return '0'
	case status == http.StatusBadRequest:
		return 'b'
	case status == http.StatusConflict:
		return 'c'
	}
	return '!'
}

func (m *matrixHouse) pathOf(r httpapi.Route, e expectation) string {
	path := r.Path
	if e.path != "" {
		path = strings.TrimSuffix(r.Path, strings.TrimPrefix(r.Path, "/t/{tenant}")) + e.path
	}
	for from, to := range examples {
		path = strings.ReplaceAll(path, from, to)
	}
	return m.filled(path)
}

func (m *matrixHouse) filled(text string) string {
	return strings.NewReplacer("{key}", m.spare, "{last}", m.last).Replace(text)
}

// as sends a request as an actor, from the same origin.
func (h *house) as(a actor, method, path, body string, media ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	var headers []string
	if a.cookie != "" {
		headers = []string{"Cookie", a.cookie, "X-CSRF-Token", a.csrf, "Origin", ownOrigin}
	}
	if m := strings.Join(media, ""); m != "" {
		headers = append(headers, "Content-Type", m)
	}
	return h.send(method, path, a.key, body, headers...)
}

// passing are tables of what comes and goes without being a change: how often
// somebody was there, and notes of what was refused.
var passing = []string{"replica", "session"}

// footprint gives a hash of each table, whatever is in it.
func (h *house) footprint() map[string]string {
	h.t.Helper()
	db := h.database()
	defer func() { _ = db.Close() }()
	sums := map[string]string{}
	for _, table := range h.tables(db) {
		if !slices.Contains(passing, table) {
			sums[table] = h.sum(db, table)
		}
	}
	if len(sums) < 10 {
		h.t.Fatalf("only the tables %v were found", sums)
	}
	return sums
}

// database opens the house's database beside the store.
func (h *house) database() *sql.DB {
	h.t.Helper()
	driver := "sqlite"
	if h.storage.Driver == store.MySQL {
		driver = "mysql"
	}
	db, err := sql.Open(driver, h.storage.DSN)
	h.must(err)
	return db
}

func (h *house) tables(db *sql.DB) []string {
	h.t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if h.storage.Driver == store.MySQL {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
	}
	var names []string
	h.must(each(db, query, func(values []any) { names = append(names, fmt.Sprintf("%s", values[0])) }))
	return names
}

func (h *house) sum(db *sql.DB, table string) string {
	h.t.Helper()
	var rows []string
	h.must(each(db, "SELECT * FROM "+table, func(values []any) { rows = append(rows, fmt.Sprintf("%q", values)) }))
	slices.Sort(rows)
	sum := sha256.Sum256([]byte(strings.Join(rows, "\n")))
	return hex.EncodeToString(sum[:])
}

func each(db *sql.DB, query string, visit func([]any)) error {
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		if err := rows.Scan(to...); err != nil {
			return err
		}
		visit(values)
	}
	return rows.Err()
}

// copied is another house over a copy of the database. Keys and sessions are good
// there too.
func (h *house) copied(t *testing.T) *house {
	t.Helper()
	file := filepath.Join(t.TempDir(), "copy.db")
	db := h.database()
	defer func() { _ = db.Close() }()
	_, err := db.ExecContext(context.Background(), "VACUUM INTO ?", file)
	h.must(err)
	return openHouse(t, store.Options{Driver: store.SQLite, DSN: file})
}

// signIn gives a user a password, by key, and signs in with it as he does who
// must choose another one then.
func (h *house) signIn(tenant, id string) actor {
	h.t.Helper()
	at := "/v1/tenants/" + tenant
	decode[api.User](h.t, h.send(http.MethodPut, at+"/users/"+id+"/password", h.root, `{"password":"`+firstPassword+`"}`))
	a := h.signedIn(h.send(http.MethodPost, at+"/sign-in", "", signInBody(id+"@example.com", firstPassword), "Origin", ownOrigin))
	return h.signedIn(h.as(a, http.MethodPut, "/v1/session/password", `{"current":"`+firstPassword+`","password":"`+ownPassword+`"}`))
}

// ownOrigin is that of the house.
const ownOrigin = "https://access.example.com"

func (h *house) signedIn(w *httptest.ResponseRecorder) actor {
	h.t.Helper()
	by := decode[api.SignedIn](h.t, w)
	for _, c := range w.Result().Cookies() {
		if c.Value != "" {
			return actor{cookie: c.Name + "=" + c.Value, csrf: by.CSRFToken}
		}
	}
	h.t.Fatalf("there is no cookie: %s", w.Body)
	return actor{}
}
