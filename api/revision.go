package api

import "time"

// Revisions is a page of the history of a tenant, newest first.
type Revisions struct {
	Revisions []Revision `json:"revisions"`
	// Of the next page; empty behind the last.
	NextPageToken string `json:"next_page_token,omitempty"`
}

// Revision is one line of a tenant's history.
type Revision struct {
	Number uint64 `json:"number"`
	// Hash of the revision before.
	Parent string `json:"parent,omitempty"`
	// Hash over parent, entry and all its changes.
	Hash   string `json:"hash"`
	Author string `json:"author,omitempty"`
	// The door it came through, for instance http.
	Source string    `json:"source,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	// What was changed, where that was asked for.
	Operations []Operation `json:"operations,omitempty"`
}

// Operation is one difference between two states.
type Operation struct {
	// added, removed or changed.
	Verb string `json:"verb"`
	// What differs: group, role, user, application, section, action, prerequisite, grant, link, scope, licence, rule, guarantee, model, setting, key or epoch.
	Kind string `json:"kind"`
	// Whose it is, as in rules (g:sales), or the section of an action or prerequisite. Left out for what is the policy's own.
	Of   string `json:"of,omitempty"`
	Name string `json:"name,omitempty"`
	// The member that has changed.
	Field string `json:"field,omitempty"`
	// Its value before, as text; of what was removed, all that is not as usual.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// All of it on one line.
	Text string `json:"text"`
}

// Difference is what turns one state of a tenant into another.
type Difference struct {
	From       uint64      `json:"from"`
	To         uint64      `json:"to"`
	Operations []Operation `json:"operations"`
	// Who holds what in the one and not in the other, where effect was asked for.
	Consequences *Consequences `json:"consequences,omitempty"`
}

// PolicyFiles is a policy as files.
type PolicyFiles struct {
	Tenant   string `json:"tenant"`
	Revision uint64 `json:"revision"`
	// Texts by name, for instance groups/sales.yaml.
	Files map[string]string `json:"files"`
}

// Blame says who made what leads to an answer, or what reaches a holder.
type Blame struct {
	Revision uint64 `json:"revision"`
	// The answer, where a question was asked.
	Allowed *bool    `json:"allowed,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Rules   []Blamed `json:"rules"`
}

// Blamed is a rule with the revision that made it.
type Blamed struct {
	// As a line of Casbin.
	Rule string `json:"rule"`
	// Where it was written.
	Origin string `json:"origin,omitempty"`
	// Left out of what is part of every policy.
	Made *Revision `json:"made,omitempty"`
}

// Rollback asks for an earlier state to be restored.
type Rollback struct {
	// The number of a revision, or a time in the form of RFC 3339.
	To string `json:"to"`
	Undo
}

// Undo asks for something to be undone by a new revision.
type Undo struct {
	Reason string `json:"reason,omitempty"`
	// The revision that it was planned for; 409 when the tenant has moved on.
	BaseRevision uint64 `json:"base_revision,omitzero"`
	// Tell what would be changed, and change nothing.
	DryRun bool `json:"dry_run,omitzero"`
}

// Undone says what became of a rollback or a reversal.
type Undone struct {
	// The revision that it was made for: the base of the same without dry_run.
	BaseRevision uint64 `json:"base_revision"`
	// In force now.
	Revision   uint64      `json:"revision"`
	Operations []Operation `json:"operations"`
	// In a dry run.
	Foretold
}
