package httpapi

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// tracer gives what makes spans, or nil: then nothing of this file runs.
func tracer(from trace.TracerProvider) trace.Tracer {
	if from == nil {
		return nil
	}
	return from.Tracer("github.com/bailiwick/bailiwick/internal/httpapi")
}

// incoming reads the trace that a caller goes on with. Baggage is not read: it
// may be about people.
var incoming propagation.TraceContext

// spanned is what is the same for all spans of a route.
type spanned struct {
	name  string
	start trace.SpanStartEventOption
}

func (r *route) spanned() spanned {
	return spanned{name: r.method + " " + r.path, start: trace.WithAttributes(
		attribute.String("http.request.method", r.method), attribute.String("http.route", r.path),
	)}
}

// traced tells whether requests of this route are worth a span. Those that ask
// for the state of the process, every few seconds, are not.
func (r *route) traced() bool { return r.need != "" }

// beginSpan begins the span of this request. It is named after the route, so
// that there are few names, and nobody's.
func (c *call) beginSpan(s *spanned) {
	r := c.g.Request
	ctx := incoming.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, _ = c.api.tracer.Start(ctx, s.name, trace.WithSpanKind(trace.SpanKindServer), s.start)
	c.g.Request, c.traced = r.WithContext(ctx), true
}

// endSpan ends it with what became of the request.
func (c *call) endSpan(status int) {
	s := trace.SpanFromContext(c.ctx())
	s.SetAttributes(attribute.Int("http.response.status_code", status), attribute.String("bailiwick.request_id", c.id))
	if c.caller.Name != "" && status < http.StatusBadRequest { // so that the tenant is one that there is
		s.SetAttributes(attribute.String("bailiwick.tenant", c.tenant))
	}
	if status >= http.StatusInternalServerError {
		s.SetStatus(codes.Error, http.StatusText(status))
	}
	s.End()
}
