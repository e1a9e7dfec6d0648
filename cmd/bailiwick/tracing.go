package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/bailiwick/bailiwick/internal/access"
)

// tracing is where spans go. Its zero value makes none.
type tracing struct{ provider *sdk.TracerProvider }

// lastSpans is how long the end of the program waits for a collector.
const lastSpans = 3 * time.Second

// openTracing does what OpenTelemetry's own variables say, but that without an
// address or OTEL_TRACES_EXPORTER=otlp nothing is traced. Sampling, batches, the
// resource and the exporter are configured by the libraries, from the same
// variables.
func openTracing(ctx context.Context, env func(string) string, log *slog.Logger) (tracing, error) {
	wanted, err := tracingWanted(env)
	if err != nil || !wanted {
		return tracing{}, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("spans were lost", "error", err) }))
	to, err := otlptracehttp.New(ctx) // connects when there is something to send
	if err != nil {
		return tracing{}, fmt.Errorf("tracing: %w", err)
	}
	log.Info("requests are traced")
	return traceTo(ctx, sdk.NewBatchSpanProcessor(to))
}

// traceTo makes spans and hands them to a processor.
func traceTo(ctx context.Context, to sdk.SpanProcessor) (tracing, error) {
	us, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "bailiwick"), attribute.String("service.version", ownVersion().Version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return tracing{}, &exitError{exitUsage, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)}
	}
	return tracing{sdk.NewTracerProvider(sdk.WithSpanProcessor(to), sdk.WithResource(us))}, nil
}

// tracingWanted refuses what would be something else than was asked for.
func tracingWanted(env func(string) string) (bool, error) {
	first := func(names ...string) (name, value string) {
		for _, name = range names {
			if value = strings.TrimSpace(env(name)); value != "" {
				return name, value
			}
		}
		return "", ""
	}
	_, exporter := first("OTEL_TRACES_EXPORTER")
	_, address := first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	switch {
	case strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || exporter == "none" || exporter == "" && address == "":
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, usage("OTEL_TRACES_EXPORTER: %q is not offered; write otlp or none", exporter)
	}
	if name, protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return false, usage("%s: %q is not offered; write http/protobuf, and an address that takes it (most often port 4318)", name, protocol)
	}
	return true, nil
}

// spans gives what others make spans with; nil where nothing is traced.
func (t tracing) spans() trace.TracerProvider {
	if t.provider == nil {
		return nil
	}
	return t.provider
}

// close sends what was not sent yet. A collector that is gone is no reason for
// a server to end with an error; the log has it.
func (t tracing) close() {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// followed shows in traces when a tenant is read: nobody asked for it, and
// questions may wait for it. Polls are not shown; they are many and say nothing.
type followed struct {
	storage
	tracer trace.Tracer
}

// traceReading puts it between a storage and the services where anything is traced.
func traceReading(s storage, t tracing) storage {
	if t.provider == nil {
		return s
	}
	return followed{s, t.provider.Tracer("github.com/bailiwick/bailiwick/cmd/bailiwick")}
}

// Load reads a tenant as a whole.
func (f followed) Load(ctx context.Context, tenant string) (access.Facts, error) {
	ctx, span := f.tracer.Start(ctx, "load tenant", trace.WithAttributes(attribute.String("bailiwick.tenant", tenant)))
	defer span.End()
	facts, err := f.storage.Load(ctx, tenant)
	span.SetAttributes(revision("bailiwick.revision", facts.Revision), attribute.Int("bailiwick.rules", len(facts.Rules)))
	return facts, err
}

// Changes reads a difference.
func (f followed) Changes(ctx context.Context, tenant string, from access.Revision) (access.Delta, error) {
	ctx, span := f.tracer.Start(ctx, "read changes", trace.WithAttributes(
		attribute.String("bailiwick.tenant", tenant), revision("bailiwick.revision.from", from)))
	defer span.End()
	d, err := f.storage.Changes(ctx, tenant, from)
	span.SetAttributes(revision("bailiwick.revision", d.To))
	return d, err
}

func revision(name string, r access.Revision) attribute.KeyValue {
	return attribute.Int64(name, int64(r)) //nolint:gosec // they are counted from 1 by one, and kept as int64
}
