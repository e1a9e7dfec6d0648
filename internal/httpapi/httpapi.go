// Package httpapi is the door over HTTP: it turns what comes over the wire into
// questions and changes for package service, and what comes back into answers.
//
// One table, in route.go, both registers the routes and describes them; the
// OpenAPI document is generated from it. One decoder, in decode.go, reads every
// body. One table, in problem.go, turns errors into answers. Nothing here
// decides anything.
package httpapi

import (
	"cmp"
	"context"
	"errors"
	"hash"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// Options is what the door needs. The services must be set; for the rest the
// zero value works.
type Options struct {
	Decisions *service.Decisions
	Policies  *service.Policies
	Tenants   *service.Tenants
	Directory *service.Directory
	History   *service.History
	Keys      *service.Keys
	Accounts  *service.Accounts
	Follower  *service.Follower
	Replicas  *service.Replicas // nil: there is no /v1/status
	Records   *service.Records  // nil: there is no log of decisions to look into
	Refusals  *service.Refusals // nil: refused attempts are not recorded
	Trails    *service.Trails   // nil: histories cannot be written down
	Reports   *service.Reports

	// PublicURL is what clients write before the paths, for instance
	// https://access.example.com. It stands in the AuthZEN configuration, which
	// is never derived from a request. The address listened on when empty.
	PublicURL string
	// TrustedProxies may tell the client's address in X-Forwarded-For: addresses
	// or networks. Nobody may when empty.
	TrustedProxies []string
	// Bounds of the server; its zero value has the documented ones.
	Bounds Bounds
	// Places bounds how much is done at one time.
	Places Places
	// MetricsApart leaves /metrics out; serve Server.Metrics somewhere else.
	MetricsApart bool
	// ConditionErrors counts conditions that failed while they were evaluated.
	ConditionErrors func() uint64
	// Series are measures of other rooms, for /metrics. None when nil.
	Series func() []Series
	// Shadow tells what the comparison with stock Casbin warns of. It is off
	// when nil.
	Shadow func() []string
	// Recording tells what is wrong with the log of decisions. It is off when nil.
	Recording func() []string
	// Tracing is where spans go. There are none when nil.
	Tracing trace.TracerProvider
	Log     *slog.Logger
	Clock   func() time.Time
}

// door is the running API.
type door struct {
	o         Options
	gin       *gin.Engine
	metrics   *metrics
	places    *places
	tracer    trace.Tracer // nil where nothing is traced
	ages      ages
	docs      []byte
	publicURL atomic.Pointer[string]
	origins   *http.CrossOriginProtection
	draining  atomic.Bool
}

func newDoor(o Options) (*door, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	page, err := docsPage()
	if err != nil {
		return nil, err
	}
	a := &door{o: o, docs: page, places: newPlaces(o.Places), origins: originsOf(o.PublicURL), tracer: tracer(o.Tracing)}
	a.setPublicURL(o.PublicURL)
	a.metrics = newMetrics(o, a.places)
	return a, a.register()
}

// register puts the table of routes into gin, which says nothing of its own.
func (a *door) register() error {
	gin.SetMode(gin.ReleaseMode)
	a.gin = gin.New()
	a.gin.RedirectTrailingSlash = false
	a.gin.UseEscapedPath, a.gin.UnescapePathValues = true, false // a name may hold a slash; see named
	a.gin.HandleMethodNotAllowed = true
	if err := a.gin.SetTrustedProxies(a.o.TrustedProxies); err != nil {
		return access.Invalid("trusted_proxies", "%s", err.Error())
	}
	unknown := a.serve(&route{path: "unknown", serve: func(*call) error { return errRoute }})
	verbs := map[string]map[string]gin.HandlerFunc{} // by method and path of the thing
	for _, r := range allRoutes() {
		if r.path == "/metrics" && a.o.MetricsApart {
			continue
		}
		thing, verb := cutVerb(r.path)
		if verb == "" || !strings.HasSuffix(thing, "}") {
			a.gin.Handle(r.method, served(r.path), a.serve(r))
			continue
		}
		at := r.method + thing
		if verbs[at] == nil {
			verbs[at] = map[string]gin.HandlerFunc{}
			a.gin.Handle(r.method, served(r.path), act(verbs[at], unknown))
		}
		verbs[at][verb] = a.serve(r)
	}
	a.gin.NoRoute(unknown)
	a.gin.NoMethod(a.serve(&route{path: "unknown", serve: func(*call) error { return errMethod }}))
	return nil
}

// call is one request on its way through.
type call struct {
	api    *door
	route  *route
	g      *gin.Context
	id     string
	tenant string
	caller access.Caller
	signed service.SignedIn // zero where the caller came with a key
	in     *reader
	query  map[string]string // the parameters of the query that were given
	match  *access.Match     // what a change expects of what it is about; nil: nothing
	once   *access.Once      // makes a change at most once; nil: the client does not ask for that
	body   hash.Hash         // of what the client asks for then
	etag   string            // of that, where it is something else; empty where there is none
	began  time.Time
	work   work
	inside bool  // has taken a place for its work
	traced bool  // its context holds a span of ours
	cut    bool  // the answer ended before it was whole
	err    error // what was answered with a problem
}

// ctx ends when the client is gone or the route's time is over.
func (c *call) ctx() context.Context { return c.g.Request.Context() }

// Header values that are the same for every answer. Nobody changes them.
var (
	headerJSON     = []string{"application/json"}
	headerProblem  = []string{"application/problem+json"}
	headerNoStore  = []string{"no-store"}
	headerNoSniff  = []string{"nosniff"}
	headerNoSource = []string{"default-src 'none'; frame-ancestors 'none'"}
	headerNoRefer  = []string{"no-referrer"}
	headerBearer   = []string{`Bearer realm="bailiwick"`}
	headerSoon     = []string{"1"}
	headerHTTPS    = []string{"max-age=31536000"}
)

// serve wraps what every request goes through: its id, headers, key, time
// limit, problem document, metrics and line in the log.
func (a *door) serve(r *route) gin.HandlerFunc {
	seen, span := a.metrics.route(r), r.spanned()
	return func(g *gin.Context) {
		named(g.Params)
		c := &call{api: a, route: r, g: g, began: a.o.Clock()}
		c.id = requestID(g.Request.Header["X-Request-Id"])
		c.headers()
		if a.tracer != nil && r.traced() {
			c.beginSpan(&span)
		}
		defer func() {
			c.recovered(recover())
			c.leave()
			seen.observe(g.Writer.Status(), a.o.Clock().Sub(c.began))
			c.log()
			if c.traced {
				c.endSpan(g.Writer.Status())
			}
			if c.cut {
				panic(http.ErrAbortHandler) // net/http breaks the connection off
			}
		}()
		if err := c.handle(); err != nil && !c.rehearsal(err) {
			c.refuse(err)
		}
	}
}

// named takes the escapes out of the names in a path, now that it was taken apart
// where it was meant to be: a%2Fb is the name of one thing.
func named(all gin.Params) {
	for i := range all {
		if name, err := url.PathUnescape(all[i].Value); err == nil { // net/http has refused what cannot be
			all[i].Value = name
		}
	}
}

// handle lets the caller in and runs the route.
func (c *call) handle() error {
	if err := c.authenticate(); err != nil {
		return err
	}
	c.tenant = access.DefaultTenant
	if c.route.tenant {
		c.tenant = c.g.Param("tenant")
	}
	if err := cmp.Or(c.readQuery(), c.lookBack(), c.matched(), c.onlyOnce()); err != nil {
		return err
	}
	if limit := c.timeLimit(); limit > 0 {
		defer c.limitTime(limit)()
		c.extend(limit)
	}
	if c.route.body != nil {
		c.in = readers.Get().(*reader)
		defer c.in.release()
	}
	if w, known := c.route.work(); known {
		if err := c.enter(w); err != nil {
			return err
		}
	}
	err := c.route.serve(c)
	if again := (*access.Repeated)(nil); errors.As(err, &again) {
		return c.repeat(again)
	}
	return err
}

// limitTime ends the work on this request after a while. The function that it
// gives frees what that holds.
func (c *call) limitTime(limit time.Duration) (done func()) {
	ctx, cancel := c.within(limit)
	c.g.Request = c.g.Request.WithContext(ctx)
	return cancel
}

// within ends after a while, and not before Bounds.Answer is over.
func (c *call) within(limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.ctx(), max(limit, c.api.o.Bounds.Answer))
}

// extend gives a route that may take long more time than the server allows others.
func (c *call) extend(limit time.Duration) {
	if limit <= requestTime {
		return
	}
	until := time.Now().Add(limit + requestTime) // the network's clock, not ours
	ctl := http.NewResponseController(c.g.Writer)
	_ = ctl.SetReadDeadline(until) // not every writer can; then the server's limits hold
	_ = ctl.SetWriteDeadline(until)
}

func (c *call) headers() {
	h := c.g.Writer.Header()
	h["Cache-Control"] = headerNoStore
	h["X-Content-Type-Options"] = headerNoSniff
	h["Content-Security-Policy"] = headerNoSource
	h["Referrer-Policy"] = headerNoRefer
	h["X-Request-Id"] = []string{c.id}
	if c.api.https() {
		h["Strict-Transport-Security"] = headerHTTPS
	}
}

// read takes in the body by the rules of decode.go.
func (c *call) read(read func(*reader) error) error {
	if err := c.jsonContent(); err != nil {
		return err
	}
	if err := c.in.readBody(c.g.Request, c.route.bodyLimit()); err != nil {
		return err
	}
	if err := c.in.decode(func() error { return read(c.in) }); err != nil {
		return err
	}
	return c.in.wrong
}

// answer sends JSON that is ready.
func (c *call) answer(status int, body []byte) error {
	c.g.Writer.Header()["Content-Type"] = headerJSON
	c.write(status, body)
	return nil
}

func (c *call) write(status int, body []byte) {
	c.leave()
	c.g.Writer.WriteHeader(status)
	_, _ = c.g.Writer.Write(body) // the client is gone; there is nobody to tell
}

// recovered turns a panic into a problem; the process lives on.
func (c *call) recovered(cause any) {
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this
		panic(cause)
	}
	c.api.metrics.panics.Inc()
	c.api.o.Log.Error("panic in a handler", "request_id", c.id, "route", c.route.path, "cause", cause, "stack", string(debug.Stack()))
	c.refuse(errPanic)
}

// log writes the one line of this request. Changes are worth a line always,
// questions only when somebody looks.
func (c *call) log() {
	level := slog.LevelDebug
	status := c.g.Writer.Status()
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		level = slog.LevelWarn
	case c.route.change:
		level = slog.LevelInfo
	}
	log, ctx := c.api.o.Log, c.ctx()
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", c.id), slog.String("method", c.g.Request.Method), slog.String("route", c.route.path),
		slog.Int("status", status), slog.Duration("took", c.api.o.Clock().Sub(c.began)),
		slog.String("client", c.g.ClientIP()), slog.String("caller", c.caller.Name), slog.String("tenant", c.tenant),
	}
	if c.traced {
		attrs = append(attrs, slog.String("trace_id", trace.SpanContextFromContext(ctx).TraceID().String()))
	}
	if c.err != nil {
		attrs = append(attrs, slog.String("error", c.err.Error()))
	}
	log.LogAttrs(ctx, level, "request", attrs...)
}
