package audit

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Sample says which answers are kept: the first rule that an answer matches
// gives the share of such answers, and all of those that match none are kept.
type Sample struct{ rules []sampleRule }

// sampleRule is one rule. What is empty matches everything.
type sampleRule struct {
	below   uint64 // kept when a random number is below
	all     bool
	tenant  string
	section access.Section
	outcome string
	reason  access.Reason
}

// ParseSample reads rules such as "0.01 outcome=allow section=System.Orders
// tenant=crm reason=granted_by": a share from 0 to 1, and what it is for. A
// section stands for those below it too.
func ParseSample(field string, rules []string) (Sample, error) {
	var s Sample
	for _, text := range rules {
		r, err := parseRule(field, text)
		if err != nil {
			return Sample{}, err
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

func parseRule(field, text string) (sampleRule, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return sampleRule{}, access.Invalid(field, "an empty rule says nothing; write a share such as 0.01, and what it is for")
	}
	share, err := strconv.ParseFloat(words[0], 64)
	if err != nil || !(share >= 0 && share <= 1) {
		return sampleRule{}, access.Invalid(field, "%q does not begin with a share from 0 to 1", text)
	}
	r := sampleRule{all: share == 1, below: uint64(share * (1 << 63))}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		if err := r.narrow(name, value); err != nil {
			return r, access.Invalid(field, "%q: %s", text, err.Error())
		}
	}
	return r, nil
}

func (r *sampleRule) narrow(name, value string) error {
	switch name {
	case "tenant":
		r.tenant = value
		return access.ValidCode("tenant", value)
	case "section":
		r.section = access.Section(value)
		return access.ValidSection("section", r.section)
	case "reason":
		r.reason = access.Reason(value)
		if value == "" {
			return access.Invalid("reason", "is empty")
		}
		return nil
	case "outcome":
		r.outcome = value
		if value != "allow" && value != "deny" {
			return access.Invalid("outcome", "%q is neither allow nor deny", value)
		}
		return nil
	}
	return access.Invalid(name, "is none of tenant, section, outcome and reason")
}

func (s Sample) wants(tenant string, r *access.Request, allowed bool, reason access.Reason) bool {
	for i := range s.rules {
		rule := &s.rules[i]
		if rule.matches(tenant, r, allowed, reason) {
			return rule.all || rand.Uint64()&math.MaxInt64 < rule.below //nolint:gosec // a sample need not be secret
		}
	}
	return true
}

func (r *sampleRule) matches(tenant string, q *access.Request, allowed bool, reason access.Reason) bool {
	if r.tenant != "" && r.tenant != tenant || r.reason != "" && r.reason != reason {
		return false
	}
	if r.outcome != "" && (r.outcome == "allow") != allowed {
		return false
	}
	return r.section == "" || q.Section == r.section || strings.HasPrefix(string(q.Section), string(r.section)+".")
}
