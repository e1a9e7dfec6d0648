package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

// batchSize is the number of questions in one batch.
const batchSize = 50

// stockRules is the most with which stock Casbin behind gin is measured: its
// first answer to each subject takes a minute at ten times as many.
const stockRules = 11_000

// overHTTP compares our server with a bare gin handler, and stock Casbin behind
// gin, in turns: ours, theirs, ours, theirs.
func (p plan) overHTTP(ctx context.Context, rules int) ([]row, error) {
	facts := oracle.Sample(rules)
	ours, key, stopOurs, err := serveOurs(ctx, facts)
	if err != nil {
		return nil, err
	}
	defer stopOurs()
	bare, stopBare, err := serveGin(ctx, bareGin())
	if err != nil {
		return nil, err
	}
	defer stopBare()

	single := load{addr: ours, requests: singles(rules, key), mustHold: []byte(`"decision":`), connections: p.connections}
	a, b, err := p.pair(ctx, single, bare)
	if err != nil {
		return nil, err
	}
	rows := []row{compare("HTTP, one decision", rules, "/s", a, "bare gin", b)}

	batch := load{addr: ours, requests: batches(rules, key), mustHold: []byte(`"decision":`), connections: p.connections}
	c, d, err := p.pair(ctx, batch, bare)
	if err != nil {
		return nil, err
	}
	rows = append(rows, compare(fmt.Sprintf("HTTP, decisions in batches of %d", batchSize), rules, "/s", c*batchSize, "bare gin", d*batchSize))

	if p.stock == 0 || rules > stockRules {
		return rows, nil
	}
	s, err := p.stockBehindGin(ctx, facts, single)
	if err != nil {
		return nil, err
	}
	return append(rows, compare("HTTP, one decision", rules, "/s", a, "stock Casbin in gin", s)), nil
}

// pair measures ours and theirs in turns and gives the medians.
func (p plan) pair(ctx context.Context, ours load, theirs string) (a, b float64, err error) {
	other := ours
	other.addr = theirs
	var as, bs []float64
	for round := -1; round < p.rounds; round++ {
		span := p.span
		if round < 0 {
			span = p.span / 4 // both warm up first
		}
		runtime.GC()
		x, err := ours.run(ctx, span)
		if err != nil {
			return 0, 0, fmt.Errorf("ours: %w", err)
		}
		runtime.GC()
		y, err := other.run(ctx, span)
		if err != nil {
			return 0, 0, fmt.Errorf("theirs: %w", err)
		}
		if round >= 0 {
			as, bs = append(as, x), append(bs, y)
		}
	}
	return median(as), median(bs), ctx.Err()
}

// stockBehindGin has one enforcer for each processor, warm for all that is asked.
func (p plan) stockBehindGin(ctx context.Context, facts access.Facts, l load) (float64, error) {
	handler, err := ginWithStock(facts, runtime.GOMAXPROCS(0), len(l.requests))
	if err != nil {
		return 0, err
	}
	addr, stop, err := serveGin(ctx, handler)
	if err != nil {
		return 0, err
	}
	defer stop()
	l.addr = addr
	return l.run(ctx, 2*p.span)
}

// wire gives a question as it goes over the network, with a record.
func wire(rules, n int) api.Request {
	r := oracle.SampleRequest(rules, n)
	return api.Request{
		Subject: r.Subject.String(), Action: api.Do(string(r.Actions[0])), Section: string(r.Section), Scope: string(r.Scope),
		Resource: &api.Resource{Type: "order", ID: "17", Attributes: map[string]any{"amount": 100}},
	}
}

// variety is how many different questions the connections ask.
const variety = 8

func singles(rules int, key string) [][]byte {
	var all [][]byte
	for i := range variety {
		body, _ := json.Marshal(wire(rules, i)) // texts and a number
		all = append(all, request("/v1/enforce", key, body))
	}
	return all
}

func batches(rules int, key string) [][]byte {
	var b api.Batch
	for i := range batchSize {
		b.Requests = append(b.Requests, wire(rules, i))
	}
	body, _ := json.Marshal(b) // texts and a number
	return [][]byte{request("/v1/enforce/batch", key, body)}
}

// serveOurs wires the rooms as the server does, over facts in memory.
func serveOurs(ctx context.Context, facts access.Facts) (addr, key string, stop func(), err error) {
	facts.Tenant = access.DefaultTenant
	s := &memory{facts: facts}
	e := engine.New(engine.Options{})
	keys := service.NewKeys(s, service.KeysOptions{})
	follower := service.NewFollower(e, s, keys, service.FollowerOptions{})
	operator := access.Caller{Name: "bench", Tenant: access.AllTenants, May: access.KeyAdmin}
	if key, _, err = keys.Create(ctx, operator, access.AllTenants, access.KeyDecide, "bench"); err != nil {
		return "", "", nil, err
	}
	if err := follower.Poll(ctx); err != nil {
		return "", "", nil, err
	}
	door, err := httpapi.NewServer(httpapi.Options{
		Decisions: service.NewDecisions(e, follower), Keys: keys, Follower: follower,
		Policies: service.NewPolicies(nil, e, nil, follower), Tenants: service.NewTenants(nil, follower),
	})
	if err != nil {
		return "", "", nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = door.Serve(ctx, l) // ends with ctx
	}()
	go follower.Run(ctx)
	return l.Addr().String(), key, func() { cancel(); <-done }, nil
}

// memory is a store of one tenant that never changes.
type memory struct {
	facts access.Facts
	keys  []access.APIKey
}

func (m *memory) Heads(context.Context) (map[string]access.Revision, error) {
	return map[string]access.Revision{m.facts.Tenant: m.facts.Revision}, nil
}

func (m *memory) Load(context.Context, string) (access.Facts, error) { return m.facts, nil }

func (m *memory) Expire(context.Context, string, time.Time) (access.Revision, error) {
	return m.facts.Revision, nil
}

func (m *memory) Keys(context.Context) ([]access.APIKey, error) { return m.keys, nil }

func (m *memory) AddKey(_ context.Context, k access.APIKey, _ access.Change) error {
	m.keys = append(m.keys, k)
	return nil
}

func (m *memory) RevokeKey(context.Context, string, string, access.Change) error { return nil }

func serveGin(ctx context.Context, handler http.Handler) (addr string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // ends with Close
	return l.Addr().String(), func() { _ = server.Close() }, nil
}

// The same body as gin programs usually declare it.
type ginRequest struct {
	Subject  string `json:"subject"`
	Action   string `json:"action"`
	Section  string `json:"section"`
	Scope    string `json:"scope"`
	Resource struct {
		Type       string         `json:"type"`
		ID         string         `json:"id"`
		Attributes map[string]any `json:"attributes"`
	} `json:"resource"`
}

type ginBatch struct {
	Requests []ginRequest `json:"requests"`
}

type ginDecision struct {
	Decision bool `json:"decision"`
}

type ginDecisions struct {
	Decisions []ginDecision `json:"decisions"`
}

// bareGin binds the body and answers a constant: it decides nothing.
func bareGin() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	all := ginDecisions{Decisions: make([]ginDecision, batchSize)}
	g.POST("/v1/enforce", func(c *gin.Context) {
		var r ginRequest
		if err := c.ShouldBindJSON(&r); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusOK, ginDecision{true})
	})
	g.POST("/v1/enforce/batch", func(c *gin.Context) {
		var r ginBatch
		if err := c.ShouldBindJSON(&r); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusOK, all)
	})
	return g
}

// ginWithStock puts each question to one of n stock enforcers.
func ginWithStock(facts access.Facts, n, questions int) (http.Handler, error) {
	free := make(chan func(access.Request) error, n)
	for range n {
		ask, err := stockEnforcer(facts)
		if err != nil {
			return nil, err
		}
		for i := range questions {
			if err := ask(oracle.SampleRequest(len(facts.Rules), i)); err != nil {
				return nil, err
			}
		}
		free <- ask
	}
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.POST("/v1/enforce", func(c *gin.Context) {
		var r ginRequest
		if err := c.ShouldBindJSON(&r); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		subject, err := access.ParseSubject("subject", r.Subject)
		ask := <-free
		if err == nil {
			err = ask(access.Request{
				Subject: subject, Actions: []access.Action{access.Action(r.Action)},
				Section: access.Section(r.Section), Scope: access.Scope(r.Scope),
			})
		}
		free <- ask
		if err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.JSON(http.StatusOK, ginDecision{true})
	})
	return g, nil
}
