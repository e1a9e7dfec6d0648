package access

// Gate is one of the tests that a question passes, in a fixed order.
type Gate string

// The gates, in their order.
const (
	GateRequest       Gate = "request"
	GateSubject       Gate = "subject"
	GateCatalogue     Gate = "catalogue"
	GateSuperuser     Gate = "superuser"
	GateApplication   Gate = "application"
	GateLicence       Gate = "licence"
	GateVerdict       Gate = "verdict"
	GatePrerequisites Gate = "prerequisites"
)

// GateOutcome says how a gate went.
type GateOutcome string

// The outcomes. A gate after the one that decided was not reached.
const (
	GatePassed     GateOutcome = "passed"
	GateFailed     GateOutcome = "failed"
	GateDecided    GateOutcome = "decided" // it allowed, whatever the later gates say
	GateNotReached GateOutcome = "not_reached"
)

// GateResult is one line of an explanation.
type GateResult struct {
	Gate    Gate
	Outcome GateOutcome
	Reason  Reason // set where the gate failed or decided
	Detail  string
}

// Finding is what one gate found. The zero Finding means "passed".
type Finding struct {
	Reason Reason
	Detail string
}

// Verdict is what the tenant's Casbin model says about one action.
type Verdict struct {
	Allowed bool
	Reason  Reason // ReasonGrantedBy, ReasonDeniedBy or ReasonNoGrant
	Rule    *Rule  // the deciding rule, if any
}

// Case is one question about one action, looked up in one snapshot of a
// tenant. The engine implements it; the gates below only put it in order.
type Case interface {
	Subject() Finding       // unknown, disabled, or member of templates only
	Catalogue() Finding     // section, action or scope unknown
	Superuser() bool        // member of the reserved role everywhere
	Application() Finding   // the section's application is switched off for the subject
	Licence() Finding       // the section's licence is missing
	Verdict() Verdict       // the Casbin model
	Prerequisites() Finding // a right that must be held too is missing
}

// Judge asks the gates in their order and stops at the first that settles the
// question. Decision.Revision, Action and ValidUntil are left to the caller.
//
// An unknown section, action or scope is refused even to superusers: a
// misspelt name is never a yes.
func Judge(c Case) Decision {
	d, _ := judge(c, nil)
	return d
}

// JudgeExplained is Judge with the outcome of every gate.
func JudgeExplained(c Case) (Decision, []GateResult) {
	return judge(c, make([]GateResult, 0, len(gateOrder)))
}

var gateOrder = [...]Gate{
	GateRequest, GateSubject, GateCatalogue, GateSuperuser,
	GateApplication, GateLicence, GateVerdict, GatePrerequisites,
}

// judge appends to trace where it is not nil. The request gate has been passed
// by whoever was able to make a Case.
func judge(c Case, trace []GateResult) (Decision, []GateResult) {
	d, at := settle(c)
	if trace == nil {
		return d, nil
	}
	for i, gate := range gateOrder {
		r := GateResult{Gate: gate, Outcome: GatePassed}
		switch {
		case i > at:
			r.Outcome = GateNotReached
		case i == at && d.Allowed && gate == GateSuperuser:
			r = GateResult{Gate: gate, Outcome: GateDecided, Reason: d.Reason, Detail: d.Detail}
		case i == at && !d.Allowed:
			r = GateResult{Gate: gate, Outcome: GateFailed, Reason: d.Reason, Detail: d.Detail}
		case gate == GateVerdict:
			r.Reason = ReasonGrantedBy
		}
		trace = append(trace, r)
	}
	return d, trace
}

// settle gives the decision and the index in gateOrder of the gate that gave it.
func settle(c Case) (Decision, int) {
	if f := c.Subject(); f.Reason != "" {
		return denied(f), 1
	}
	if f := c.Catalogue(); f.Reason != "" {
		return denied(f), 2
	}
	if c.Superuser() {
		return Decision{Allowed: true, Reason: ReasonSuperuser}, 3
	}
	if f := c.Application(); f.Reason != "" {
		return denied(f), 4
	}
	if f := c.Licence(); f.Reason != "" {
		return denied(f), 5
	}
	v := c.Verdict()
	if !v.Allowed {
		return Decision{Reason: v.Reason, Rule: v.Rule}, 6
	}
	if f := c.Prerequisites(); f.Reason != "" {
		return denied(f), 7
	}
	return Decision{Allowed: true, Reason: v.Reason, Rule: v.Rule}, 7
}

func denied(f Finding) Decision { return Decision{Reason: f.Reason, Detail: f.Detail} }
