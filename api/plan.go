package api

import (
	"encoding/json"
	"time"
)

// PolicyPlanAsked asks what putting policy files into force would do.
type PolicyPlanAsked struct {
	// The text of each file by its path in the bundle.
	Files map[string]string `json:"files"`
	// 409 when the tenant is at another revision. Any when left out.
	BaseRevision uint64 `json:"base_revision,omitzero"`
	// How many of the last recorded decisions are asked again.
	Last int `json:"last,omitzero"`
	// How many users and groups each consequence names; 100 when left out.
	Names int `json:"names,omitzero"`
}

// PolicyPlan is what putting policy files into force would do.
type PolicyPlan struct {
	Tenant       string `json:"tenant"`
	BaseRevision uint64 `json:"base_revision"`
	// Names the plan: sent back with the same files and base_revision, exactly this is applied.
	Plan string `json:"plan"`
	// False when all of it is in force already.
	Changes      bool         `json:"changes"`
	Operations   []Operation  `json:"operations"`
	Consequences Consequences `json:"consequences"`
	// Guarantees that would be broken; then the plan cannot be applied.
	Broken    []Breach        `json:"broken"`
	Decisions TurnedDecisions `json:"decisions"`
	Tests     TestSummary     `json:"tests"`
	Warnings  []Detail        `json:"warnings,omitempty"`
	// The files that were planned, where a plan is kept as a file.
	Files map[string]string `json:"files,omitempty"`
}

// Line is one line of an answer of the type application/x-ndjson about what a
// change does: how far the work has come, then the answer without its lists, then
// each consequence and each decision that would turn, and at last the end; or what
// was wrong. An answer without an end was cut off.
type Line struct {
	Progress    *Progress       `json:"progress,omitempty"`
	Answer      json.RawMessage `json:"answer,omitempty"`
	Consequence *Consequence    `json:"consequence,omitempty"`
	Turned      *TurnedDecision `json:"turned,omitempty"`
	End         *LineEnd        `json:"end,omitempty"`
	Problem     json.RawMessage `json:"problem,omitempty"`
}

// LineEnd tells how many lines of each kind there were.
type LineEnd struct {
	Consequences int `json:"consequences"`
	Turned       int `json:"turned"`
}

// Progress tells how much of a stage is done.
type Progress struct {
	// consequences or decisions
	Stage string `json:"stage"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

// Consequences is who gains, loses or has changed which right.
type Consequences struct {
	// The tenant has a Casbin model of its own: consequences cannot be told.
	Foreign bool `json:"foreign,omitzero"`
	// Users, groups and applications that were looked at.
	Looked int `json:"looked"`
	// How many of them anything is done to.
	Users        int `json:"users"`
	Groups       int `json:"groups"`
	Applications int `json:"applications"`
	// Users who gain something, lose something, have something changed.
	UsersGaining  int `json:"users_gaining"`
	UsersLosing   int `json:"users_losing"`
	UsersChanging int `json:"users_changing"`
	// Users who become superusers, and who are none any more; at most as many as a consequence names.
	SuperusersMade []string `json:"superusers_made,omitempty"`
	SuperusersLost []string `json:"superusers_lost,omitempty"`
	// How many consequences there are; the list holds at most 5,000. With Accept: application/x-ndjson each is a line of its own, and all are told.
	Total int           `json:"total"`
	All   []Consequence `json:"consequences"`
}

// Consequence is what becomes of actions on one section in one scope.
type Consequence struct {
	// lost, gained or changed
	Turn    string   `json:"turn"`
	Section string   `json:"section"`
	Actions []string `json:"actions"`
	// There and everywhere below.
	Scope string `json:"scope"`
	// But not there and below.
	Except []string `json:"except,omitempty"`
	Before Hold     `json:"before"`
	After  Hold     `json:"after"`
	// The moment from which it is so; at once when left out.
	From *time.Time `json:"from,omitempty"`
	// The moment at which it is over.
	Until *time.Time `json:"until,omitempty"`
	// How many users and groups; the lists name some of them.
	Users        int      `json:"users"`
	Groups       int      `json:"groups"`
	UserIDs      []string `json:"user_ids,omitempty"`
	GroupCodes   []string `json:"group_codes,omitempty"`
	Applications []string `json:"application_codes,omitempty"`
	// Questions without a user.
	Anonymous bool `json:"anonymous,omitzero"`
}

// Hold tells how a right is held.
type Hold struct {
	May bool `json:"may"`
	// Ids of conditions: of each list, one must hold.
	When [][]string `json:"when,omitempty"`
	// Ids of conditions none of which may hold.
	Unless []string `json:"unless,omitempty"`
}

// Breach is one case in which a guarantee would not be kept.
type Breach struct {
	Guarantee string `json:"guarantee"`
	// Where the guarantee was written.
	Origin string `json:"origin,omitempty"`
	// Whose right it is, as in rules.
	Holder  string `json:"holder,omitempty"`
	Section string `json:"section,omitempty"`
	Action  string `json:"action,omitempty"`
	Scope   string `json:"scope,omitempty"`
	// The moment from which it would be so; at once when left out.
	From *time.Time `json:"from,omitempty"`
	// For at_most: how many holders there would be.
	Count int `json:"count,omitzero"`
	// The lines that lead from the holder to the rule, and where that was written.
	Path []string `json:"path,omitempty"`
	Rule string   `json:"rule,omitempty"`
	// All of it in one sentence.
	Text string `json:"text"`
}

// TurnedDecisions are recorded decisions that would come out otherwise.
type TurnedDecisions struct {
	// How many were asked again.
	Asked int `json:"asked"`
	// How many cannot be: what they were asked is not kept as it was.
	Unasked int `json:"unasked,omitzero"`
	// How many turn; the list holds at most 5,000.
	Turned int              `json:"turned"`
	All    []TurnedDecision `json:"decisions,omitempty"`
}

// TurnedDecision is one of them.
type TurnedDecision struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Subject string    `json:"subject,omitempty"`
	Actions []string  `json:"actions,omitempty"`
	Section string    `json:"section,omitempty"`
	Scope   string    `json:"scope,omitempty"`
	// What it is by what is in force, and what it would be.
	Before bool   `json:"before"`
	After  bool   `json:"after"`
	Reason string `json:"reason"`
}

// Rehearsal is the answer to a change with dry_run: nothing was written.
type Rehearsal struct {
	DryRun       bool   `json:"dry_run"`
	BaseRevision uint64 `json:"base_revision"`
	Foretold
}

// Foretold is what a change would do.
type Foretold struct {
	Consequences *Consequences `json:"consequences,omitempty"`
	// Guarantees that would be broken; then the change would be refused.
	Broken []Breach `json:"broken,omitempty"`
}

// Guarantees are what must be true of every revision of a tenant.
type Guarantees struct {
	Guarantees []Guarantee `json:"guarantees"`
	Revision   uint64      `json:"revision"`
}

// Guarantee is one of them; docs/policy-guide.md tells what its members mean.
type Guarantee struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Rule        string         `json:"rule"`
	Who         []string       `json:"who,omitempty"`
	Except      []string       `json:"except,omitempty"`
	Rights      []GuardedRight `json:"rights"`
	Scope       string         `json:"scope"`
	Holders     int            `json:"holders,omitzero"`
	Condition   string         `json:"condition,omitempty"`
	// Where it was written.
	Origin string `json:"origin,omitempty"`
}

// GuardedRight is one or several actions on a section.
type GuardedRight struct {
	Section string   `json:"section"`
	Actions []string `json:"actions"`
}
