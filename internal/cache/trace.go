package cache

import (
	"context"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// trace lets the client tell of every round trip, dial and message. Commands
// are told by their names, never with what they carry.
func (r *Redis) trace() error {
	if r.options.Tracing == nil {
		return nil
	}
	return redisotel.InstrumentTracing(r.client, redisotel.WithTracerProvider(r.options.Tracing),
		redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false))
}

// look is the step of one question for answers, in the question's own trace. A
// round trip is shared with other questions and belongs to none of them, so that
// the client's own spans stand in traces by themselves.
func look(ctx context.Context, places int) trace.Span {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return parent
	}
	_, s := parent.TracerProvider().Tracer("github.com/bailiwick/bailiwick/internal/cache").Start(ctx, "redis answers",
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.Int("bailiwick.cache.asked", places)))
	return s
}

// looked ends it. Where nothing is traced there is nothing to end.
func looked(s trace.Span, found int, err error) {
	if !s.IsRecording() {
		return
	}
	s.SetAttributes(attribute.Int("bailiwick.cache.found", found))
	if err != nil {
		s.SetStatus(codes.Error, "answered without Redis")
	}
	s.End()
}
