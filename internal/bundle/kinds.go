package bundle

import (
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The structs below are the file format. One tag each says the key (yaml; the
// word "short" means that the bare value may stand for the whole mapping), what
// is demanded of it (jsonschema) and what it is for (doc). The strict decoder,
// the formatter's order of keys and the JSON Schemas all follow them.

type header struct {
	APIVersion string `yaml:"apiVersion" jsonschema:"required,enum=bailiwick/v1" doc:"Version of the file format: bailiwick/v1."`
	Kind       string `yaml:"kind" jsonschema:"required" doc:"What this file describes."`
}

// place is where an entry begins; the decoder fills it in.
type place struct {
	Origin access.Origin `yaml:"-"`
}

type bundleFile struct {
	header
	place
	Tenant      string          `yaml:"tenant" jsonschema:"required" doc:"Code of the tenant this bundle is for."`
	Description string          `yaml:"description" doc:"What this tenant is, for people."`
	Combining   string          `yaml:"combining" jsonschema:"enum=deny-overrides,enum=allow-overrides" doc:"How permissions and prohibitions combine; deny-overrides when left out."`
	Root        string          `yaml:"root" doc:"Root section: all rights on it everywhere make a superuser; System when left out."`
	Anonymous   string          `yaml:"anonymous" doc:"Code of the group that questions without a user belong to."`
	NeedBase    bool            `yaml:"groups_need_base" doc:"true: every regular group must be based on another one."`
	Functions   *functionsEntry `yaml:"functions" doc:"What an application that uses Casbin would register in code, for a model.conf of your own."`
	SignIn      *signInEntry    `yaml:"sign_in" doc:"Rules of signing in; what is left out has its default."`
	Accounts    *accountsEntry  `yaml:"accounts" doc:"What is demanded of accounts that are made or changed."`
	Licences    []licenceEntry  `yaml:"licences" doc:"Features that the tenant holds."`
	Scopes      []scopeEntry    `yaml:"scopes" doc:"Entities that rights can be limited to."`
}

type guaranteesFile struct {
	header
	place
	Guarantees []guaranteeEntry `yaml:"guarantees" jsonschema:"required" doc:"What must be true of every revision."`
}

type guaranteeEntry struct {
	place
	Name        string         `yaml:"name" jsonschema:"required" doc:"Code of the guarantee; it stands in refusals."`
	Description string         `yaml:"description" doc:"Why it is demanded, for people."`
	Rule        string         `yaml:"rule" jsonschema:"required,enum=never,enum=always,enum=separate,enum=at_most,enum=only_if" doc:"never (nobody holds any of the rights), always (all hold all of them), separate (nobody holds something of two of them), at_most (no more users than so many), only_if (never without this condition)."`
	Who         []string       `yaml:"who" doc:"Whom it is about: everybody (when left out), users, applications, anonymous, superusers, group:code, role:code, user:id or app:code."`
	Except      []string       `yaml:"except" doc:"Whom of them it is not about, in the same words."`
	Rights      []guardedEntry `yaml:"rights" jsonschema:"required" doc:"The rights it is about."`
	Scope       string         `yaml:"scope" doc:"Scope in which and below which it must be true; everywhere (*) when left out."`
	Holders     int            `yaml:"holders" doc:"For at_most: how many users."`
	Condition   string         `yaml:"condition" doc:"For only_if: the CEL expression under which the rights may be held."`
}

type guardedEntry struct {
	place
	Section string `yaml:"section" jsonschema:"required" doc:"Section of the catalogue."`
	Rights  rights `yaml:"rights" jsonschema:"required" doc:"Names of actions, or a sum of rights."`
}

type accountsEntry struct {
	place
	EmailPattern string   `yaml:"email_pattern" doc:"Regular expression (RE2) that the whole e-mail must match."`
	Required     []string `yaml:"required" doc:"Fields that must not be empty: external_id, or attributes.NAME."`
	EmailUnique  string   `yaml:"email_unique" jsonschema:"enum=tenant,enum=store" doc:"Within what an e-mail is one account's: tenant (when left out), or store."`
}

type signInEntry struct {
	place
	MinLength      int  `yaml:"min_length" doc:"Least number of characters of a password, from 8 to 128; 12 when left out."`
	Lower          bool `yaml:"lower" doc:"true: a password needs a lower-case letter."`
	Upper          bool `yaml:"upper" doc:"true: a password needs an upper-case letter."`
	Digits         bool `yaml:"digits" doc:"true: a password needs a digit."`
	Symbols        bool `yaml:"symbols" doc:"true: a password needs a character that is neither letter nor digit."`
	NoReuse        int  `yaml:"no_reuse" doc:"How many of the last passwords cannot be chosen again, at most 24."`
	ExpireDays     int  `yaml:"expire_days" doc:"After how many days a password must be changed; never when left out."`
	Failures       int  `yaml:"failures" doc:"After how many failures an account is locked, from 3 to 100; 10 when left out."`
	FailureMinutes int  `yaml:"failure_minutes" doc:"Minutes within which failures are counted; 15 when left out."`
	LockMinutes    int  `yaml:"lock_minutes" doc:"Minutes for which an account is locked; 15 when left out."`
	LockForGood    bool `yaml:"lock_for_good" doc:"true: an account is locked until an administrator unlocks it."`
	IdleMinutes    int  `yaml:"idle_minutes" doc:"Minutes that a session may go unused; 30 when left out."`
	TotalMinutes   int  `yaml:"total_minutes" doc:"Minutes after which a session ends; 720 when left out."`

	SecondFactor string `yaml:"second_factor" doc:"off: nobody is asked for a second factor; optional, as when left out: whoever has one; required: whoever has none sets one up when he next signs in."`
}

type functionsEntry struct {
	place
	Roles      map[string]matching `yaml:"roles" doc:"By role definition (g, g2 and so on), the function that compares its names, which are patterns then: keyMatch, keyMatch2, keyMatch3, keyMatch4, keyMatch5, regexMatch or globMatch."`
	Domains    map[string]matching `yaml:"domains" doc:"By role definition, the function that compares its third field, which holds patterns then."`
	Conditions map[string]limiting `yaml:"conditions" doc:"By role definition with parameters, such as g = _, _, (_, _), what they mean: timeMatch (the link holds after the first moment and before the second) or none (it holds whatever they say)."`
	Eval       *truth              `yaml:"eval" doc:"true lets matchers run texts of rules as code, by eval()."`
}

type licenceEntry struct {
	place
	Feature string `yaml:"feature" jsonschema:"required" doc:"Code of the feature."`
	Seats   int    `yaml:"seats" doc:"How many users may hold a seat; 0 or left out: as many as are wanted."`
}

type scopeEntry struct {
	place
	Scope  string `yaml:"scope" jsonschema:"required" doc:"Type and id joined by a colon, for instance store:eu-1."`
	Parent string `yaml:"parent" doc:"Scope in which it lies; everywhere (*) when left out."`
	Name   string `yaml:"name" doc:"Name for people."`
}

type applicationFile struct {
	header
	place
	Code        string            `yaml:"code" jsonschema:"required" doc:"Code of the application; the file has the same name."`
	Name        string            `yaml:"name" doc:"Name for people."`
	Names       map[string]string `yaml:"names" doc:"Names in other languages, by language tag."`
	Description string            `yaml:"description" doc:"What the application is, for people."`
	Version     string            `yaml:"version" doc:"Version of the application."`
	Families    []familyEntry     `yaml:"families" doc:"What headings are called in other languages."`
	Sections    []sectionEntry    `yaml:"sections" doc:"The areas it protects."`
	Groups      []groupLink       `yaml:"groups" doc:"Groups of the application itself, as a subject."`
	Roles       []roleLink        `yaml:"roles" doc:"Roles of the application itself, as a subject."`
	Grants      []grantEntry      `yaml:"grants" doc:"Grants of the application itself, as a subject."`
}

type familyEntry struct {
	place
	Name  string            `yaml:"name" jsonschema:"required" doc:"The heading, as sections name it by family."`
	Names map[string]string `yaml:"names" jsonschema:"required" doc:"Names in other languages, by language tag."`
}

type sectionEntry struct {
	place
	Path          string              `yaml:"path" jsonschema:"required" doc:"Dotted path, for instance System.Orders.Export."`
	Name          string              `yaml:"name" doc:"Name for people."`
	Names         map[string]string   `yaml:"names" doc:"Names in other languages, by language tag."`
	Description   string              `yaml:"description" doc:"What it protects, for people."`
	Family        string              `yaml:"family" doc:"Heading under which people find it."`
	Actions       []actionEntry       `yaml:"actions" doc:"Further actions beyond the six standard ones; granted by name only."`
	Prerequisites []prerequisiteEntry `yaml:"prerequisites" doc:"Rights on other sections that must be held too."`
	Licence       string              `yaml:"licence" doc:"Feature that tenant and user must hold."`
	Menu          *menuEntry          `yaml:"menu" doc:"Its place in the menu."`
	Field         bool                `yaml:"field" doc:"It stands for a field of a record rather than a screen."`
	Cascade       bool                `yaml:"cascade" doc:"Rights on it always hold in its subsections too."`
	Deprecated    string              `yaml:"deprecated" doc:"What to use instead; grants on it are warned of."`
}

type actionEntry struct {
	place
	Name        string            `yaml:"name,short" jsonschema:"required" doc:"The action, for instance send."`
	Label       string            `yaml:"label" doc:"Name for people."`
	Labels      map[string]string `yaml:"labels" doc:"Names in other languages, by language tag."`
	Description string            `yaml:"description" doc:"What it does, for people."`
}

type prerequisiteEntry struct {
	place
	Section string         `yaml:"section" jsonschema:"required" doc:"The other section."`
	Rights  standardRights `yaml:"rights" jsonschema:"required" doc:"Names of standard actions, or their sum; every one of them is needed."`
}

type menuEntry struct {
	Label  string            `yaml:"label" doc:"Text of the entry; the section's name when left out."`
	Labels map[string]string `yaml:"labels" doc:"Texts in other languages, by language tag; the section's names where there is none."`
	Order  int               `yaml:"order" doc:"Entries are sorted by this number."`
}

type roleFile struct {
	header
	place
	Code        string       `yaml:"code" jsonschema:"required" doc:"Code of the role; the file has the same name."`
	Name        string       `yaml:"name" doc:"Name for people."`
	Description string       `yaml:"description" doc:"What it is for, for people."`
	Roles       []roleLink   `yaml:"roles" doc:"Roles whose grants it inherits."`
	Grants      []grantEntry `yaml:"grants" doc:"What it grants."`
}

type groupFile struct {
	header
	place
	Code        string       `yaml:"code" jsonschema:"required" doc:"Code of the group; the file has the same name."`
	Name        string       `yaml:"name" doc:"Name for people."`
	Description string       `yaml:"description" doc:"Who is in it, for people."`
	Type        string       `yaml:"type" jsonschema:"enum=default,enum=template,enum=regular" doc:"default, template (serves inheritance only) or regular (when left out)."`
	Base        string       `yaml:"base" doc:"Code of the group it inherits from."`
	Roles       []roleLink   `yaml:"roles" doc:"Roles of its members."`
	Grants      []grantEntry `yaml:"grants" doc:"Grants of its members."`
	Signature   string       `yaml:"signature" doc:"Template of its members' e-mail signature."`
	Scopes      ceiling      `yaml:"scopes" doc:"Ceiling of scopes: all (when left out), none, or a list."`
	Manages     ceiling      `yaml:"manages" doc:"Groups whose users, and those of groups based on them, its members may look after, as far as their rights go: all (when left out), none, or a list of codes."`
	Attributes  attributes   `yaml:"attributes" doc:"Values of the business system's own, for instance how orders are distributed."`
}

type usersFile struct {
	header
	place
	Users []userEntry `yaml:"users" jsonschema:"required" doc:"The accounts."`
}

type userEntry struct {
	place
	ID string `yaml:"id" jsonschema:"required" doc:"Id of the account; never used again for another."`
	userBody
}

// userBody is what an account holds besides its id.
type userBody struct {
	Email           string       `yaml:"email" doc:"Address to sign in with."`
	Home            string       `yaml:"home" doc:"The one store that the account belongs to, as a scope; all when left out. It gives no right."`
	Name            string       `yaml:"name" doc:"Name for people."`
	Status          string       `yaml:"status" jsonschema:"enum=active,enum=invited,enum=disabled,enum=locked" doc:"active (when left out), invited, disabled or locked; only an active account is allowed anything."`
	Groups          []groupLink  `yaml:"groups" doc:"Groups in their order; the first gives signature and address."`
	Roles           []roleLink   `yaml:"roles" doc:"Roles beyond those of the groups."`
	Grants          []grantEntry `yaml:"grants" doc:"Grants beyond those of groups and roles."`
	Licences        []string     `yaml:"licences" doc:"Features of which the account holds a seat."`
	ApplicationsOff []string     `yaml:"applications_off" doc:"Applications that are switched off for it."`
	Attributes      attributes   `yaml:"attributes" doc:"Values for conditions."`
	ExternalID      string       `yaml:"external_id" doc:"Key of the business system for the account."`
	Menu            []string     `yaml:"menu" doc:"Sections that shall be in its menu; all that it may see when left out."`
}

type groupLink struct {
	place
	Group string `yaml:"group,short" jsonschema:"required" doc:"Code of the group."`
	reach
}

type roleLink struct {
	place
	Role string `yaml:"role,short" jsonschema:"required" doc:"Code of the role, or superuser."`
	reach
}

// reach says where and when a membership or grant holds.
type reach struct {
	Scope string    `yaml:"scope" doc:"Scope in which it holds; everywhere (*) when left out."`
	From  time.Time `yaml:"from" doc:"First moment at which it holds, for instance 2026-01-01T00:00:00Z."`
	Until time.Time `yaml:"until" doc:"First moment at which it no longer holds."`
}

type grantEntry struct {
	place
	Section   string `yaml:"section" doc:"Section of the catalogue, or the root section."`
	Rights    rights `yaml:"rights" doc:"Names of actions, or a sum of rights from 0 to 63."`
	Name      string `yaml:"name" doc:"Section, together with crud: the way binary rights tables are written."`
	Crud      *sum   `yaml:"crud" doc:"Sum of rights from 0 to 63, together with name."`
	Effect    string `yaml:"effect" jsonschema:"enum=allow,enum=deny" doc:"allow (when left out) or deny."`
	Condition string `yaml:"condition" doc:"CEL expression over subject, resource, action, context and now."`
	reach
}

type testsFile struct {
	header
	place
	Name     string              `yaml:"name" jsonschema:"required" doc:"Name of the suite."`
	Shows    []int               `yaml:"shows" doc:"Numbers of the requirements that all its tests show."`
	Now      time.Time           `yaml:"now" doc:"The clock of its tests; the real one when left out."`
	Subjects map[string]testUser `yaml:"subjects" doc:"Accounts for this file only, by id."`
	Tests    []testEntry         `yaml:"tests" jsonschema:"required" doc:"The tests."`
}

type testUser struct {
	place
	userBody
}

type testEntry struct {
	place
	Name  string      `yaml:"name" jsonschema:"required" doc:"What the test shows."`
	Shows []int       `yaml:"shows" doc:"Numbers of the requirements that it shows."`
	Now   time.Time   `yaml:"now" doc:"The clock of this test."`
	Ask   []askEntry  `yaml:"ask" doc:"Questions with their expected answers."`
	Table *tableEntry `yaml:"table" doc:"Every combination of some subjects, sections, actions and scopes."`
}

type askEntry struct {
	place
	Subject           word           `yaml:"subject" doc:"user:<id>, app:<code> or anonymous."`
	Section           word           `yaml:"section" doc:"Section that is asked about."`
	Action            verbs          `yaml:"action" doc:"An action, a list of actions that must all be allowed, or a sum of rights."`
	Scope             word           `yaml:"scope" doc:"Scope that is asked about; everywhere (*) when left out."`
	Resource          *resourceEntry `yaml:"resource" doc:"The record that is asked about, for conditions."`
	SubjectAttributes attributes     `yaml:"subject_attributes" doc:"Attributes of the subject that are sent with the question."`
	ActionAttributes  attributes     `yaml:"action_attributes" doc:"Attributes of the action that are sent with the question."`
	Context           attributes     `yaml:"context" doc:"Circumstances of the question, for conditions."`
	Request           values         `yaml:"request" doc:"Values in the order of the model's request definition, where the bundle has a model of its own."`
	ContextSet        word           `yaml:"context_set" doc:"The definitions that answer the request: \"2\" for r2, p2, e2 and m2; r, p, e and m when left out."`
	Expect            string         `yaml:"expect" jsonschema:"required,enum=allow,enum=deny" doc:"The expected answer: allow or deny."`
	answer
}

// answer is what may be expected of a decision besides its yes or no.
type answer struct {
	Reason string `yaml:"reason" jsonschema:"enum=request_invalid,enum=subject_unknown,enum=subject_disabled,enum=subject_template_only,enum=section_unknown,enum=action_unknown,enum=scope_unknown,enum=superuser,enum=application_off,enum=license_missing,enum=denied_by,enum=granted_by,enum=no_grant,enum=prerequisite_missing" doc:"The expected reason."`
	Rule   string `yaml:"rule" doc:"Part of the line of the rule that is expected to decide."`
}

type resourceEntry struct {
	Type       string     `yaml:"type" doc:"Type of the record, for instance order."`
	ID         string     `yaml:"id" doc:"Id of the record."`
	Attributes attributes `yaml:"attributes" doc:"Attributes that are sent with the question."`
}

type tableEntry struct {
	place
	Subjects []word      `yaml:"subjects" jsonschema:"required" doc:"Subjects of the table."`
	Sections []word      `yaml:"sections" jsonschema:"required" doc:"Sections of the table."`
	Actions  []word      `yaml:"actions" jsonschema:"required" doc:"Actions of the table."`
	Scopes   []word      `yaml:"scopes" doc:"Scopes of the table; everywhere (*) when left out."`
	Unlisted string      `yaml:"unlisted" jsonschema:"enum=deny" doc:"The word deny says that combinations which are not listed are expected to be denied; without it every combination must be listed."`
	Allow    []cellEntry `yaml:"allow" doc:"Combinations that are expected to be allowed."`
	Deny     []cellEntry `yaml:"deny" doc:"Combinations that are expected to be denied."`
}

// cellEntry stands for some combinations of a table. What is left out stands
// for everything that the table has.
type cellEntry struct {
	place
	Subject word   `yaml:"subject" doc:"A subject of the table; every one when left out."`
	Section word   `yaml:"section" doc:"A section of the table; every one when left out."`
	Actions []word `yaml:"actions" doc:"Actions of the table; every one when left out."`
	Scope   word   `yaml:"scope" doc:"A scope of the table; every one when left out."`
	answer
}
