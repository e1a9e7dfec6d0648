package store

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"gorm.io/gorm"
)

// span begins a step of the trace that ctx belongs to. Where it belongs to none,
// as in a poll, there is none. Of statements the text is told and never what they
// carry, which is about people.
func span(ctx context.Context, name string, about ...attribute.KeyValue) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, noop.Span{}
	}
	tracer := parent.TracerProvider().Tracer("github.com/bailiwick/bailiwick/internal/store")
	return tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(about...))
}

// statement begins the step of one statement, which is one of ours: its verb and
// its table are few.
func statement(ctx context.Context, query string) (context.Context, trace.Span) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, noop.Span{}
	}
	verb, table := operation(query)
	return span(ctx, strings.TrimSpace(verb+" "+table),
		attribute.String("db.operation.name", verb), attribute.String("db.collection.name", table), attribute.String("db.query.text", query))
}

// operation finds what a statement does, and to which table first.
func operation(query string) (verb, table string) {
	words := strings.Fields(query)
	for i, word := range words {
		if i == 0 {
			verb = strings.ToUpper(word)
		}
		switch strings.ToUpper(word) {
		case "FROM", "INTO", "UPDATE":
			if i+1 < len(words) {
				return verb, strings.Trim(words[i+1], "`\"();,")
			}
		}
	}
	return verb, ""
}

// end ends a step. Of an error only its kind is told: the words of a database
// name values.
func end(s trace.Span, err error) {
	if err != nil {
		s.SetStatus(codes.Error, kindOf(err))
	}
	s.End()
}

func kindOf(err error) string {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "given up"
	case lostRace(err):
		return "lost a race"
	}
	return "failed"
}

// tracing makes a step of each statement that goes through gorm.
type tracing struct{}

// Name is by which gorm knows it.
func (tracing) Name() string { return "bailiwick:tracing" }

const spanKey = "bailiwick:span"

// Initialize stands around every statement.
func (t tracing) Initialize(db *gorm.DB) error {
	on := db.Callback()
	var errs []error
	for _, statements := range []struct {
		before func(string, func(*gorm.DB)) error
		after  func(string, func(*gorm.DB)) error
	}{
		{on.Create().Before("*").Register, on.Create().After("*").Register},
		{on.Query().Before("*").Register, on.Query().After("*").Register},
		{on.Update().Before("*").Register, on.Update().After("*").Register},
		{on.Delete().Before("*").Register, on.Delete().After("*").Register},
		{on.Row().Before("*").Register, on.Row().After("*").Register},
		{on.Raw().Before("*").Register, on.Raw().After("*").Register},
	} {
		errs = append(errs, statements.before("bailiwick:before", t.before), statements.after("bailiwick:after", t.after))
	}
	return errors.Join(errs...)
}

// before: the statement's words are not there yet.
func (tracing) before(db *gorm.DB) {
	if _, s := span(db.Statement.Context, "SQL"); s.IsRecording() {
		db.InstanceSet(spanKey, s)
	}
}

func (tracing) after(db *gorm.DB) {
	kept, ok := db.InstanceGet(spanKey)
	if !ok {
		return
	}
	s := kept.(trace.Span)
	verb, table := operation(db.Statement.SQL.String())
	s.SetName(strings.TrimSpace(verb + " " + table))
	s.SetAttributes(attribute.String("db.operation.name", verb), attribute.String("db.collection.name", table),
		attribute.String("db.query.text", db.Statement.SQL.String()))
	err := db.Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = nil
	}
	end(s, err)
}
