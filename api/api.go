// Package api is what programs outside need to talk to Bailiwick over HTTP: the
// wire types, a client, and RequireHTTP, which guards a handler with a question.
// The package api/middleware does the same for gin.
//
// The types stand for the JSON of version 1 of the API. Members may be added to
// answers; none is renamed or removed within version 1. Times are RFC 3339, UTC.
// An answer of "no" is a Decision with Allowed false, never an error; an error
// never means allow.
package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Request is a question: may the subject do this in that section, here?
type Request struct {
	// Whom the question is about: user:<id>, app:<code> or anonymous.
	Subject string `json:"subject,omitempty"`
	// One action, several that must all be allowed, or a sum of rights: 2 show, 4 insert, 8 update, 16 delete, 32 execute.
	Action Actions `json:"action,omitzero"`
	// The protected area, a dotted path of the catalogue.
	Section string `json:"section,omitempty"`
	// Which entities, for instance store:eu-1; everywhere when left out.
	Scope string `json:"scope,omitempty"`
	// The record that the question is about, for conditions.
	Resource *Resource `json:"resource,omitempty"`
	// What conditions see of the subject; stored attributes beat these.
	SubjectAttributes map[string]any `json:"subject_attributes,omitempty"`
	// What conditions see of the action.
	ActionAttributes map[string]any `json:"action_attributes,omitempty"`
	// What conditions see of the circumstances.
	Context map[string]any `json:"context,omitempty"`
	// Instead of the members above: the question in the order of the tenant's Casbin model.
	Request []any `json:"request,omitempty"`
	// Which definitions of the model answer request: "2" for r2, p2, e2 and m2; left out for r, p, e and m.
	ContextSet string `json:"context_set,omitempty"`
	Consistency
}

// Resource is one record of the business system, for instance order 17.
type Resource struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
	// What conditions see of the record; stored attributes beat these.
	Attributes map[string]any `json:"attributes,omitempty"`
}

// Actions is what a question asks for: names, all of which must be allowed, or
// a sum of rights. In JSON it is a string, an array of strings or an integer.
type Actions struct {
	Names []string
	Sum   int64 // not looked at when there are names
}

// Do asks for actions by their names.
func Do(names ...string) Actions { return Actions{Names: names} }

// IsZero tells whether nothing is asked for.
func (a Actions) IsZero() bool { return len(a.Names) == 0 && a.Sum == 0 }

// MarshalJSON writes the shortest of the three forms.
func (a Actions) MarshalJSON() ([]byte, error) {
	switch {
	case len(a.Names) == 0:
		return strconv.AppendInt(nil, a.Sum, 10), nil
	case len(a.Names) == 1:
		return json.Marshal(a.Names[0])
	}
	return json.Marshal(a.Names)
}

// UnmarshalJSON reads any of the three forms.
func (a *Actions) UnmarshalJSON(b []byte) error {
	*a = Actions{}
	if len(b) > 0 && b[0] == '"' {
		a.Names = make([]string, 1)
		return json.Unmarshal(b, &a.Names[0])
	}
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, &a.Names)
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return fmt.Errorf("action: write a name, an array of names or a sum of rights, not %s", b)
	}
	a.Sum = n
	return nil
}

// Decision is the answer to a Request.
type Decision struct {
	Allowed bool `json:"decision"`
	// A stable code, for instance granted_by or no_grant.
	Reason string `json:"reason"`
	// What the reason is about, for instance the licence that is missing.
	Detail string `json:"detail,omitempty"`
	// The action that the reason is about.
	Action string `json:"action,omitempty"`
	// The deciding rule, where one decided.
	Rule   *Rule  `json:"rule,omitempty"`
	Tenant string `json:"tenant,omitempty"`
	// The revision that decided; left out when it was decided from files.
	Revision uint64 `json:"revision,omitzero"`
	// A time-limited fact may change the answer then.
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

// Rule is one line of a policy.
type Rule struct {
	// The line as Casbin reads it.
	Line string `json:"line"`
	// Where it was written: file:line:column.
	Origin string `json:"origin,omitempty"`
}

// Batch is several questions, answered from one revision.
type Batch struct {
	// At most 100 questions.
	Requests []Request `json:"requests"`
	Consistency
}

// Decisions answers a Batch, in its order.
type Decisions struct {
	Decisions []Decision `json:"decisions"`
}

// Explanation is a decision with everything that led to it.
type Explanation struct {
	Decision
	// One part for each action that was asked about, up to the first denial.
	Parts []ExplanationPart `json:"parts,omitempty"`
}

// ExplanationPart explains the answer for one action.
type ExplanationPart struct {
	Action string `json:"action"`
	// Every gate in order, and how it went.
	Gates []Gate `json:"gates"`
	// The memberships that lead from the subject to the deciding rule.
	Path []Rule `json:"path,omitempty"`
	// Rules that matched and did not decide.
	Losing []Rule `json:"losing,omitempty"`
	// The smallest grants that would turn a denial for want of a grant.
	Nearest []Grant `json:"nearest,omitempty"`
}

// Gate is one test of a question and how it went.
type Gate struct {
	Gate string `json:"gate"`
	// One of passed, failed, decided, not_reached.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// Grant gives or takes rights on one section.
type Grant struct {
	// Whose it would be, as rules write it: u:<user>, g:<group>, r:<role>, a:<application>.
	To      string `json:"to,omitempty"`
	Section string `json:"section"`
	// Names of rights and of declared actions.
	Rights    []string  `json:"rights"`
	Scope     string    `json:"scope,omitempty"`
	Effect    string    `json:"effect,omitempty"`
	Condition string    `json:"condition,omitempty"`
	From      time.Time `json:"from,omitzero"`
	Until     time.Time `json:"until,omitzero"`
}

// Tenant is one customer system.
type Tenant struct {
	// Lower-case letters, digits, - and _.
	Code        string `json:"code"`
	Description string `json:"description,omitempty"`
	// A sample policy to begin with: its catalogue, roles and groups, without its accounts. Only where a tenant is created.
	Template string `json:"template,omitempty"`
	// The newest revision; not looked at when a tenant is created.
	Revision uint64 `json:"revision,omitzero"`
}

// Tenants is a list of tenants.
type Tenants struct {
	Tenants []Tenant `json:"tenants"`
}

// Policy is a policy as files, to be put into force as a whole.
type Policy struct {
	// The text of each file by its path in the bundle, for instance bundle.yaml.
	Files map[string]string `json:"files"`
	// Why, in the author's words; it is kept in the history.
	Reason string `json:"reason,omitempty"`
	// The revision that is to be replaced; 409 when the tenant has moved on. Any when left out.
	BaseRevision uint64 `json:"base_revision,omitzero"`
	// The plan of these files that is to be applied, made for base_revision.
	Plan string `json:"plan,omitempty"`
	// Check, test and compile, but change nothing.
	DryRun bool `json:"dry_run,omitzero"`
	// Make the tenant if it does not exist.
	CreateTenant bool `json:"create_tenant,omitzero"`
}

// PolicyLoaded says what became of a Policy.
type PolicyLoaded struct {
	Tenant string `json:"tenant"`
	// In force now; in a dry run what is in force still.
	Revision uint64 `json:"revision"`
	// False when the policy was there already, and in a dry run.
	Changed  bool        `json:"changed"`
	DryRun   bool        `json:"dry_run,omitzero"`
	Tests    TestSummary `json:"tests"`
	Warnings []Detail    `json:"warnings,omitempty"`
	// In a dry run for a tenant that is there.
	Foretold
}

// TestSummary counts the decision tests of a policy.
type TestSummary struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped,omitzero"`
}

// NewKey asks for an API key.
type NewKey struct {
	// One of decide, read, admin; each includes the one before.
	Kind string `json:"kind"`
	// What the key is for.
	Name string `json:"name"`
}

// Key is an API key without its secret.
type Key struct {
	ID string `json:"id"`
	// The tenant it may act on, or * for all.
	Tenant  string    `json:"tenant"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// CreatedKey is a new API key. Its text is shown only here.
type CreatedKey struct {
	Key
	// What goes behind "Authorization: Bearer". It cannot be shown again.
	Text string `json:"text"`
}

// Keys is a list of API keys, oldest first.
type Keys struct {
	Keys []Key `json:"keys"`
}

// Health tells whether a process works.
type Health struct {
	// One of ok, degraded, unavailable.
	Status string `json:"status"`
	// One entry for each thing that was looked at.
	Checks []HealthCheck `json:"checks,omitempty"`
}

// HealthCheck is one thing that was looked at.
type HealthCheck struct {
	Name string `json:"name"`
	// One of ok, degraded, unavailable.
	Status string `json:"status"`
	// What is wrong, in words.
	Reasons []string `json:"reasons,omitempty"`
	// How far the store is followed, where that was looked at.
	Following *Following `json:"following,omitempty"`
}

// Following sums up how far a server follows the store.
type Following struct {
	// How many tenants it follows.
	Tenants int `json:"tenants"`
	// How many of them are not at their newest revision.
	Behind int `json:"behind"`
	// Milliseconds since the store was last confirmed; left out before the first time.
	Age *int64 `json:"age_ms,omitempty"`
	// Those that are behind, the ones with the greatest lag first, at most ten.
	Late []LateTenant `json:"late,omitempty"`
}

// LateTenant is a tenant that is not at its newest revision.
type LateTenant struct {
	Code string `json:"code"`
	// The revision that decides.
	Revision uint64 `json:"revision"`
	// The newest one that is stored, as far as is known.
	Head uint64 `json:"head"`
	// How many revisions are stored and do not decide here.
	Lag uint64 `json:"lag"`
}

//go:embed openapi.json
var openAPI []byte

// OpenAPI gives the description of the HTTP API in OpenAPI 3.1, as JSON. It is
// generated from the types of this package and the routes of the server.
func OpenAPI() []byte { return append([]byte(nil), openAPI...) }
