package httpapi

import "github.com/bailiwick/bailiwick/internal/access"

// answered counts an answer that an application acts upon. What is asked about
// an answer, as by explain, is not one.
func (c *call) answered(r *access.Request, d *access.Decision, err error) {
	c.decided(d.Reason, err)
	if err == nil && r.Export() {
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
