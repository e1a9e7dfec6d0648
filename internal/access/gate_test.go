package access_test

import (
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// scripted is a case whose findings are given.
type scripted struct {
	subject, catalogue, application, licence, prerequisites access.Finding
	superuser                                               bool
	verdict                                                 access.Verdict
}

func (s scripted) Subject() access.Finding       { return s.subject }
func (s scripted) Catalogue() access.Finding     { return s.catalogue }
func (s scripted) Superuser() bool               { return s.superuser }
func (s scripted) Application() access.Finding   { return s.application }
func (s scripted) Licence() access.Finding       { return s.licence }
func (s scripted) Verdict() access.Verdict       { return s.verdict }
func (s scripted) Prerequisites() access.Finding { return s.prerequisites }

func TestJudge_order(t *testing.T) {
	granted := access.Verdict{Allowed: true, Reason: access.ReasonGrantedBy}
	off := access.Finding{Reason: access.ReasonApplicationOff}
	unlicensed := access.Finding{Reason: access.ReasonLicenceMissing, Detail: "chats"}
	missing := access.Finding{Reason: access.ReasonPrerequisiteMissing}
	unknown := access.Finding{Reason: access.ReasonSectionUnknown}
	disabled := access.Finding{Reason: access.ReasonSubjectDisabled}
	for name, c := range map[string]struct {
		is      scripted
		allowed bool
		reason  access.Reason
	}{
		"all gates passed":                       {scripted{verdict: granted}, true, access.ReasonGrantedBy},
		"nothing known is a no":                  {scripted{verdict: access.Verdict{Reason: access.ReasonNoGrant}}, false, access.ReasonNoGrant},
		"disabled beats superuser":               {scripted{subject: disabled, superuser: true, verdict: granted}, false, access.ReasonSubjectDisabled},
		"an unknown section beats superuser":     {scripted{catalogue: unknown, superuser: true}, false, access.ReasonSectionUnknown},
		"superuser beats a deny":                 {scripted{superuser: true, verdict: access.Verdict{Reason: access.ReasonDeniedBy}}, true, access.ReasonSuperuser}, // Req 72
		"superuser beats a missing licence":      {scripted{superuser: true, licence: unlicensed}, true, access.ReasonSuperuser},
		"application off beats licence and deny": {scripted{application: off, licence: unlicensed}, false, access.ReasonApplicationOff},
		"licence missing beats a grant":          {scripted{licence: unlicensed, verdict: granted}, false, access.ReasonLicenceMissing}, // Req 15
		"a deny is told before prerequisites":    {scripted{verdict: access.Verdict{Reason: access.ReasonDeniedBy}, prerequisites: missing}, false, access.ReasonDeniedBy},
		"a prerequisite stops a grant":           {scripted{verdict: granted, prerequisites: missing}, false, access.ReasonPrerequisiteMissing}, // Req 78
	} {
		t.Run(name, func(t *testing.T) {
			d := access.Judge(c.is)
			if d.Allowed != c.allowed || d.Reason != c.reason {
				t.Errorf("got %v %s", d.Allowed, d.Reason)
			}
			explained, gates := access.JudgeExplained(c.is)
			if explained != d {
				t.Errorf("explained differently: %+v", explained)
			}
			checkTrace(t, d, gates)
		})
	}
}

func checkTrace(t *testing.T, d access.Decision, gates []access.GateResult) {
	t.Helper()
	if len(gates) != 8 {
		t.Fatalf("%d gates", len(gates))
	}
	failed, reached := 0, true
	for _, g := range gates {
		if g.Outcome == access.GateFailed || g.Outcome == access.GateDecided {
			failed++
			reached = false
			if g.Reason != d.Reason {
				t.Errorf("gate %s says %s, the decision %s", g.Gate, g.Reason, d.Reason)
			}
			continue
		}
		if (g.Outcome == access.GatePassed) != reached {
			t.Errorf("gate %s: %s", g.Gate, g.Outcome)
		}
	}
	if want := d.Reason != access.ReasonGrantedBy; (failed == 1) != want {
		t.Errorf("%d gates settled it for %s", failed, d.Reason)
	}
}

func TestValidity(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	until := from.AddDate(0, 0, 1)
	v := access.Validity{From: from, Until: until}
	for name, c := range map[string]struct {
		now  time.Time
		at   bool
		next time.Time
	}{
		"before":           {from.Add(-1), false, from},
		"at the beginning": {from, true, until},
		"at the end":       {until, false, time.Time{}},
	} {
		if got := v.At(c.now); got != c.at {
			t.Errorf("%s: holds %v", name, got)
		}
		if got := v.Next(c.now); !got.Equal(c.next) {
			t.Errorf("%s: next %v", name, got)
		}
	}
	if !(access.Validity{}).At(from) || !(access.Validity{}).Next(from).IsZero() {
		t.Error("no bounds: always, never changing")
	}
	if got := access.Sooner(until, from); !got.Equal(from) {
		t.Errorf("sooner: %v", got)
	}
	if got := access.Sooner(time.Time{}, from); !got.Equal(from) {
		t.Errorf("zero is never: %v", got)
	}
}

func TestCaller_Require(t *testing.T) {
	for name, c := range map[string]struct {
		caller access.Caller
		need   access.KeyKind
		tenant string
		ok     bool
	}{
		"decide may decide":               {access.Caller{Tenant: "a", May: access.KeyDecide}, access.KeyDecide, "a", true},
		"decide may not read":             {access.Caller{Tenant: "a", May: access.KeyDecide}, access.KeyRead, "a", false},
		"read may not change":             {access.Caller{Tenant: "a", May: access.KeyRead}, access.KeyAdmin, "a", false},
		"admin may decide":                {access.Caller{Tenant: "a", May: access.KeyAdmin}, access.KeyDecide, "a", true},
		"no tenant but its own":           {access.Caller{Tenant: "a", May: access.KeyAdmin}, access.KeyDecide, "b", false},
		"not the installation":            {access.Caller{Tenant: "a", May: access.KeyAdmin}, access.KeyRead, "*", false},
		"an operator may act everywhere":  {access.Caller{Tenant: "*", May: access.KeyAdmin}, access.KeyAdmin, "b", true},
		"the zero caller may do nothing":  {access.Caller{}, access.KeyDecide, "", false},
		"an unknown need is not a wicket": {access.Caller{Tenant: "a"}, "", "a", false},
	} {
		if err := c.caller.Require(c.need, c.tenant); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
