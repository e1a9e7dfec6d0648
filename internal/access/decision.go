package access

import "time"

// Reason is a stable code that says why a decision is what it is.
type Reason string

// The reasons, in the order of the gates that give them.
const (
	ReasonTenantUnknown       Reason = "tenant_unknown"
	ReasonRequestInvalid      Reason = "request_invalid"
	ReasonSubjectUnknown      Reason = "subject_unknown"
	ReasonSubjectDisabled     Reason = "subject_disabled"
	ReasonSubjectTemplateOnly Reason = "subject_template_only"
	ReasonSectionUnknown      Reason = "section_unknown"
	ReasonActionUnknown       Reason = "action_unknown"
	ReasonScopeUnknown        Reason = "scope_unknown"
	ReasonSuperuser           Reason = "superuser"
	ReasonApplicationOff      Reason = "application_off"
	ReasonLicenceMissing      Reason = "license_missing"
	ReasonDeniedBy            Reason = "denied_by"
	ReasonGrantedBy           Reason = "granted_by"
	ReasonNoGrant             Reason = "no_grant"
	ReasonPrerequisiteMissing Reason = "prerequisite_missing"
)

// Decision is the answer to a Request.
type Decision struct {
	Allowed    bool
	Reason     Reason
	Detail     string    // what the reason is about, for instance the missing licence; may be empty
	Action     Action    // the action the reason is about
	Rule       *Rule     // the deciding rule, where one decided; must not be changed
	Revision   Revision  // the revision that decided
	ValidUntil time.Time // a time-limited fact may change the answer then; zero: until the next revision
}

// Explanation is a decision with everything that led to it, one part for each
// action that was asked about, up to the first that is denied.
type Explanation struct {
	Decision
	Parts []ExplanationPart
}

// ExplanationPart explains the answer for one action.
type ExplanationPart struct {
	Action  Action
	Gates   []GateResult
	Path    []Rule  // the membership rules that lead from the subject to the deciding rule's grantee
	Losing  []Rule  // rules that matched and did not decide, in policy order
	Nearest []Grant // smallest single grants that would turn a denial for want of a grant

	NearestTo []string // to whom each of Nearest would be given, as in rules: "g:sales"
}
