package store_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestTrace: what the store does for a request stands below it, in a handful of
// words and without a value; what belongs to no request is not traced.
func TestTrace(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	tracer := sdk.NewTracerProvider(sdk.WithSyncer(kept)).Tracer("test")
	s := accesstest.OpenStore(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")})
	if _, err := s.Heads(t.Context()); err != nil {
		t.Fatal(err)
	}
	if spans := kept.GetSpans(); len(spans) != 0 {
		t.Fatalf("nobody has asked, and there are %v", spans)
	}

	ctx, request := tracer.Start(t.Context(), "request")
	secret := access.Tenant{Code: "secret-tenant", Description: "secret words"}
	if _, err := s.CreateTenant(ctx, secret, access.Change{Author: "secret-caller"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(ctx, secret.Code); err != nil {
		t.Fatal(err)
	}
	_, err := s.Load(ctx, "secret-other")
	if err == nil {
		t.Fatal("a tenant that is not there was loaded")
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, _ = s.Subjects(gone, secret.Code, []string{"secret-user"}) // whatever it gives, nothing is told
	request.End()

	names := map[string]int{}
	ids := map[string]bool{request.SpanContext().SpanID().String(): true}
	spans := kept.GetSpans()
	for _, span := range spans {
		ids[span.SpanContext.SpanID().String()] = true
	}
	for _, span := range spans {
		names[span.Name]++
		if span.Name != "request" && !ids[span.Parent.SpanID().String()] {
			t.Errorf("%s stands below nothing", span.Name)
		}
		for _, a := range append(span.Attributes, attribute.String("status", span.Status.Description), attribute.String("name", span.Name)) {
			if strings.Contains(a.Value.String(), "secret") {
				t.Errorf("%s tells %s", span.Name, a.Value.String())
			}
		}
		if len(span.Events) > 0 {
			t.Errorf("%s has events, which tell of errors in a driver's words: %v", span.Name, span.Events)
		}
	}
	for _, want := range []string{"write transaction", "read transaction", "INSERT tenant", "SELECT casbin_rule"} {
		if names[want] == 0 {
			t.Errorf("there is no %s among %v", want, names)
		}
	}
	failed := 0
	for _, span := range spans {
		if span.Name == "read transaction" && span.Status.Code == codes.Error {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d of the two readings have failed", failed)
	}
}
