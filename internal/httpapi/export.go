package httpapi

import (
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// isExport tells whether a question is about taking data out: the last part of
// its section or one of its actions is "export", in any case of letters. Under a
// tenant's own model every value of the question counts.
func isExport(r *access.Request) bool {
	if endsInExport(string(r.Section)) {
		return true
	}
	for _, a := range r.Actions {
		if strings.EqualFold(string(a), "export") {
			return true
		}
	}
	for _, v := range r.Raw {
		if text, ok := v.(string); ok && endsInExport(text) {
			return true
		}
	}
	return false
}

func endsInExport(name string) bool {
	const last = "export"
	at := len(name) - len(last)
	return at >= 0 && strings.EqualFold(name[at:], last) && (at == 0 || name[at-1] == '.')
}

// answered counts an answer that an application acts upon. What is asked about
// an answer, as by explain, is not one.
func (c *call) answered(r *access.Request, d *access.Decision, err error) {
	c.decided(d.Reason, err)
	if err == nil && isExport(r) {
		c.api.metrics.exported(c.tenant, d.Allowed)
	}
}

// exported counts answers to questions about exports (Req 18): how many a tenant
// gets is what an alert goes by. By tenant and answer there are few series.
func (m *metrics) exported(tenant string, allowed bool) {
	answer := "denied"
	if allowed {
		answer = "allowed"
	}
	m.exports.WithLabelValues(tenant, answer).Inc()
}
