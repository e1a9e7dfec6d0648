package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// serving is what serve was asked to do.
type serving struct {
	config     config.Config
	dev        bool
	migrate    bool
	allowEmpty bool
	portIsOurs bool // nobody asked for this port, so another will do
}

// readyAnswer is the one line of serve -o json. Without --dev there is a key in
// it only when the first one was made.
type readyAnswer struct {
	URL     string   `json:"url"`
	APIKey  string   `json:"api_key,omitempty"`
	Tenants []string `json:"tenants"`

	SignIn     string          `json:"sign_in,omitempty"`    // with --dev: a link that signs in once
	Superusers []superuserLink `json:"superusers,omitempty"` // links for tenants that have none who can sign in
}

func (c *cli) serveCommand() *cobra.Command {
	var s serving
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer questions over HTTP",
		Long: `Answer questions over HTTP. Settings come from flags, the environment
(BAILIWICK_...) and a file, in this order; see bailiwick config print --reference.

Without any, the store is the SQLite file bailiwick.db in the working folder. An
embedded store is brought up to date at start, and gets an operator's key, shown
once, when it has none. MySQL takes one setting more; bring its schema up to date
with bailiwick migrate up, or by --migrate.

With --dev everything is embedded and temporary: a fresh store in a temporary
folder that is removed at the end, the sample tenants, and a key.`,
		Example: `  bailiwick serve --dev
  bailiwick serve --dev --listen 127.0.0.1:0 -o json
  bailiwick serve --config conf/bailiwick.yaml
  bailiwick serve --store-driver mysql --store-dsn 'bailiwick@tcp(127.0.0.1:3306)/bailiwick'`,
		Args: exactly(0),
	}
	set := settingsFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "", "short for --server-listen; port 0 takes a free one")
	f.BoolVar(&s.dev, "dev", false, "try it: temporary store, sample tenants, a key")
	f.BoolVar(&s.migrate, "migrate", false, "bring the schema of a MySQL database up to date first")
	f.BoolVar(&s.allowEmpty, "allow-empty", false, "start although no tenant has a policy yet")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if listen != "" && f.Changed("server-listen") {
			return usage("--listen and --server-listen are the same; keep one")
		}
		if listen != "" {
			if err := f.Set("server-listen", listen); err != nil {
				return err
			}
		}
		var err error
		if s.config, err = set.load(); err != nil {
			return err
		}
		s.portIsOurs = s.config.Server.Listen == config.Default().Server.Listen
		if s.dev {
			return c.serveDev(cmd.Context(), s)
		}
		return c.serve(cmd.Context(), s)
	}
	return cmd
}

// serve is the wiring: every room, from the store up to the door, and down
// again in reverse when ctx ends.
func (c *cli) serve(ctx context.Context, s serving) (err error) {
	log := c.log(s.config.Log)
	limitMemory(s.config.Server, log)
	o, err := c.openHouse(ctx, s, log)
	defer func() { err = errors.Join(err, o.close()) }()
	if err != nil {
		return err
	}
	first, err := c.start(ctx, s, o, log)
	if err != nil {
		return err
	}
	replicas := o.house.replicas(o.db, service.ReplicasOptions{Log: log})
	door, err := httpapi.NewServer(o.door(s.config.Server, replicas, log))
	if err != nil {
		return err
	}
	listener, err := c.listen(ctx, s)
	if err != nil {
		return err
	}
	stop, err := o.run(ctx, s.config, door, log)
	defer stop()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer beating(ctx, replicas, listener.Addr().String())()
	if err := c.ready(ctx, s, o.house, listener, first); err != nil {
		return errors.Join(err, listener.Close())
	}
	return door.Serve(ctx, listener)
}

// opened is what a server has opened: its house, and what the house stands on.
type opened struct {
	traces tracing
	db     *store.Store
	near   *caches
	mails  *service.Mails
	rooms  *noted
	house  *house
	kept   *recording

	undo []func() error
}

// later says what ends something that was opened.
func (o *opened) later(end func() error) { o.undo = append(o.undo, end) }

// close ends everything, what was opened last first.
func (o *opened) close() error {
	var all []error
	for _, end := range slices.Backward(o.undo) {
		all = append(all, end())
	}
	return errors.Join(all...)
}

// openHouse opens everything. What it gives must be closed also where it fails.
func (c *cli) openHouse(ctx context.Context, s serving, log *slog.Logger) (o *opened, err error) {
	cfg := s.config
	o = &opened{}
	if o.traces, err = openTracing(ctx, os.Getenv, log); err != nil {
		return o, err
	}
	o.later(func() error { o.traces.close(); return nil })
	if o.db, err = openStore(ctx, cfg, log, s.migrate); err != nil {
		return o, err
	}
	o.later(o.db.Close)
	if err := signWith(o.db, cfg, true, log); err != nil {
		return o, err
	}
	if o.near, err = openCaches(ctx, cfg.Cache, s.dev, o.traces, log); err != nil {
		return o, err
	}
	o.later(o.near.close)
	seals, err := secondFactors(cfg, log)
	if err != nil {
		return o, err
	}
	if o.mails, err = openMails(o.db, cfg, log); err != nil {
		return o, err
	}
	o.rooms = &noted{storage: o.db}
	o.house = furnish(traceReading(o.rooms, o.traces), o.near, cfg, "http", aside{mails: o.mails, seals: seals}, log)
	if err := o.house.trust(cfg); err != nil {
		return o, err
	}
	o.house.compareWithStock(o.db, cfg.Shadow, log)
	if o.kept, err = openRecording(cfg.Decisions, o.db, c.out, log); err != nil {
		return o, err
	}
	o.later(o.kept.close)
	o.house.record(o.kept)
	o.house.lookBack(o.db, cfg.Decisions, log)
	return o, nil
}

// start has every tenant decide by its newest revision, and gives what whoever
// started the server needs to go on.
func (c *cli) start(ctx context.Context, s serving, o *opened, log *slog.Logger) (first readyAnswer, err error) {
	if first.APIKey, err = c.firstSteps(ctx, s, o.db, o.house); err != nil {
		return first, err
	}
	c.say("loading policies")
	if err := o.house.moveIn(ctx); err != nil {
		return first, err
	}
	if !o.rooms.policy.Load() && !s.allowEmpty {
		return first, errEmpty
	}
	if first.SignIn, first.Superusers, err = invite(ctx, s.dev, o.house); err != nil {
		log.Warn("no link for a superuser could be made; see bailiwick superuser link", "error", err) // questions can be answered
	}
	return first, nil
}

// door says what stands behind the HTTP server.
func (o *opened) door(s config.Server, replicas *service.Replicas, log *slog.Logger) httpapi.Options {
	h := o.house
	return httpapi.Options{
		Replicas:  replicas,
		Decisions: h.decisions, Policies: h.policies, Tenants: h.tenants,
		Directory: h.directory, History: h.history, Keys: h.keys, Accounts: h.accounts, Follower: h.follower, ConditionErrors: h.engine.ConditionErrors,
		Series: func() []httpapi.Series {
			return slices.Concat(o.near.series(h.kept), h.shadowSeries(), mailSeries(o.mails), o.kept.series(), h.replaySeries(), h.auditSeries())
		},
		Records: h.records, Reports: service.NewReports(h.history, h.records), Recording: h.auditTrouble(o.kept), Refusals: h.refusals, Trails: service.NewTrails(o.db, h.authority),
		Shadow: h.warnings(), Tracing: o.traces.spans(),
		PublicURL: s.PublicURL, TrustedProxies: s.TrustedProxies,
		MetricsApart: s.MetricsListen != "", Log: log, Bounds: bounds(s), Places: httpapi.Places(s.Places),
	}
}

// run lets everything go on that goes on beside questions, until ctx ends; stop
// waits for the end of it, and must be called also where run fails.
func (o *opened) run(ctx context.Context, cfg config.Config, door *httpapi.Server, log *slog.Logger) (stop func(), err error) {
	var all []func()
	stop = func() {
		for _, end := range slices.Backward(all) {
			end()
		}
	}
	metrics, err := serveMetrics(ctx, cfg.Server, door, log)
	if err != nil {
		return stop, err
	}
	all = append(all, metrics, follow(ctx, o.house, o.near), mailing(ctx, o.mails))
	o.house.startShadow(ctx)
	all = append(all, o.house.sign(ctx, o.db, log), o.house.recordRefusals(ctx))
	return stop, nil
}

func bounds(s config.Server) httpapi.Bounds {
	return httpapi.Bounds{
		Head: int(s.MaxHeaderBytes), ReadHeader: s.ReadHeaderTimeout, Read: s.ReadTimeout,
		Write: s.WriteTimeout, Idle: s.IdleTimeout, Drain: s.ShutdownTimeout,
	}
}

// limitMemory lets the garbage collector know what the container may use: it
// works harder near the limit rather than be killed at it. A test says what the
// limit is.
func limitMemory(s config.Server, log *slog.Logger, o ...memlimit.Option) {
	if s.MemoryLimit == "off" {
		return
	}
	if limit, err := memlimit.Set(o...); err != nil {
		log.Debug("the container's memory limit is not known", "error", err)
	} else if limit != math.MaxInt64 {
		log.Info("memory is limited", "bytes", limit)
	}
}

var errEmpty = errors.New("no tenant has a policy yet, so every answer would be no: " +
	"load one with bailiwick policy load DIR, or start with --allow-empty")

// noted remembers whether any tenant has a policy.
type noted struct {
	storage
	policy atomic.Bool
}

// Load passes on what the storage has.
func (n *noted) Load(ctx context.Context, tenant string) (access.Facts, error) {
	f, err := n.storage.Load(ctx, tenant)
	if len(f.Rules) > 1 || len(f.Catalogue) > 1 || !f.Ours() { // one rule and one application are always there
		n.policy.Store(true)
	}
	return f, err
}

// openStore opens the database. An embedded one is brought up to date; others
// may be shared, and are changed only when that is asked for.
func openStore(ctx context.Context, cfg config.Config, log *slog.Logger, migrate bool) (*store.Store, error) {
	db, err := store.Open(ctx, storeOptions(cfg, log))
	if err != nil {
		return nil, err
	}
	if migrate || cfg.Store.DriverName() == store.SQLite {
		err = db.Migrate(ctx)
	} else {
		err = db.Check(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// listen takes the configured address, or with --dev the next one that is free.
func (c *cli) listen(ctx context.Context, s serving) (net.Listener, error) {
	address := s.config.Server.Listen
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil || !s.dev || !s.portIsOurs {
		return l, err
	}
	host, port, _ := net.SplitHostPort(address) // it is our own default
	n, _ := strconv.Atoi(port)
	for range 100 {
		n++
		if l, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(n))); err == nil {
			c.say("%s is taken; listening on %s", address, l.Addr())
			return l, nil
		}
	}
	return nil, err
}

// serveMetrics answers on a second listener, if one is wanted.
func serveMetrics(ctx context.Context, cfg config.Server, door *httpapi.Server, log *slog.Logger) (stop func(), err error) {
	if cfg.MetricsListen == "" {
		return func() {}, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.MetricsListen)
	if err != nil {
		return nil, err
	}
	log.Info("measurements are served apart", "address", l.Addr().String())
	pages := http.NewServeMux()
	pages.Handle("/metrics", door.Metrics())
	pages.Handle("/livez", door.Handler())
	pages.Handle("/readyz", door.Handler())
	server := &http.Server{Handler: pages, ReadHeaderTimeout: cfg.ReadHeaderTimeout, WriteTimeout: cfg.WriteTimeout}
	go func() { _ = server.Serve(l) }() // ends with Close
	return func() { _ = server.Close() }, nil
}

// beating says how this process does until ctx ends; the function waits for
// its last word.
func beating(ctx context.Context, r *service.Replicas, address string) (wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	var beat sync.WaitGroup
	beat.Go(func() { r.Run(ctx, address) })
	return func() { cancel(); beat.Wait() }
}

// follow keeps step with the store, and with the news of other replicas, until
// ctx ends; the function waits for the end.
func follow(ctx context.Context, h *house, near *caches) (wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	var both sync.WaitGroup
	both.Go(func() { h.follower.Run(ctx) })
	both.Go(func() { near.run(ctx, h.follower.Wake) })
	return func() { cancel(); both.Wait() }
}
