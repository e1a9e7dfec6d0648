package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/cache"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
	"github.com/bailiwick/bailiwick/internal/store"
)

func (c *cli) doctorCommand() *cobra.Command {
	d := doctor{cli: c}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with a database and what stands beside it",
		Long: `Look for what is wrong with the configured database and what stands beside it.
Nothing is changed, and servers may run meanwhile.

It looks at the schema, at how the database compares text and treats values that
are too long, at its clock and its connections, at Redis and a mail server if they
are configured, and in every tenant whether

  history  the chain of hashes is unbroken
  rows     all rows are what the history adds up to: edits by hand show
  load     the policy loads and compiles
  casbin   stock Casbin, through gorm-adapter, gets the rules that are in memory
  answers  it answers a sample of questions as we do

The exit code is 0 if all is well and 1 if something was found. Each finding says
what to do next. With many rules stock Casbin takes long, so that larger tenants
than --rules says are not put to it.`,
		Example: `  bailiwick doctor
  bailiwick doctor --config conf/bailiwick.yaml -o json
  bailiwick doctor --tenant crm --rules 100000 --questions 50`,
		Args: exactly(0),
	}
	set := settingsFlags(cmd, "store.", "cache.redis.", "mail.", "server.public_url")
	f := cmd.Flags()
	f.StringVar(&d.tenant, "tenant", "", "look at this tenant alone")
	f.IntVar(&d.rules, "rules", 10_000, "most rules with which a tenant is put to stock Casbin")
	f.IntVar(&d.questions, "questions", 200, "questions of each tenant that are put to stock Casbin")
	f.DurationVar(&d.limit, "time", time.Minute, "time after which no further questions of a tenant are put to stock Casbin")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := set.load()
		if err != nil {
			return err
		}
		if d.rules < 0 || d.questions < 0 {
			return usage("--rules and --questions cannot be negative")
		}
		if err := d.look(cmd.Context(), cfg); err != nil {
			return err
		}
		if err := c.answer(d.found, d.found.write); err != nil {
			return err
		}
		if d.found.Findings > 0 {
			return reported(exitFailed)
		}
		return nil
	}
	return cmd
}

// doctor looks at one installation.
type doctor struct {
	*cli
	tenant           string
	rules, questions int
	limit            time.Duration

	store *store.Store
	found doctorAnswer
}

// doctorAnswer is everything that was looked at, in its order.
type doctorAnswer struct {
	Findings int           `json:"findings"`
	Checks   []doctorCheck `json:"checks"`
}

// doctorCheck is one thing that was looked at.
type doctorCheck struct {
	Check  string `json:"check"`
	Tenant string `json:"tenant,omitempty"`
	Result string `json:"result"` // ok, finding or skipped
	What   string `json:"what"`
	Next   string `json:"next,omitempty"`
}

const (
	checkOK      = "ok"
	checkFinding = "finding"
	checkSkipped = "skipped"
)

func (d *doctor) fine(check, tenant, format string, args ...any) {
	d.found.Checks = append(d.found.Checks, doctorCheck{Check: check, Tenant: tenant, Result: checkOK, What: fmt.Sprintf(format, args...)})
}

func (d *doctor) skip(check, tenant, format string, args ...any) {
	d.found.Checks = append(d.found.Checks, doctorCheck{Check: check, Tenant: tenant, Result: checkSkipped, What: fmt.Sprintf(format, args...)})
}

// finding says what is wrong, and what to do next.
func (d *doctor) finding(check, tenant, what, next string) {
	d.found.Findings++
	d.found.Checks = append(d.found.Checks, doctorCheck{Check: check, Tenant: tenant, Result: checkFinding, What: oneLine(what), Next: next})
}

// look looks at everything. Its error is of somebody who has interrupted it;
// whatever else goes wrong is a finding.
func (d *doctor) look(ctx context.Context, cfg config.Config) error {
	d.found.Checks = []doctorCheck{}
	if d.open(ctx, cfg) {
		defer func() { _ = d.store.Close() }() // it has changed nothing
		d.host(ctx, cfg)
	}
	d.redis(ctx, cfg.Cache.Redis)
	d.mails(ctx, cfg.Mail)
	if d.store != nil {
		d.tenants(ctx)
	}
	return ctx.Err()
}

// open opens the database as it is.
func (d *doctor) open(ctx context.Context, cfg config.Config) bool {
	if cfg.Store.DriverName() == store.SQLite {
		if _, err := os.Stat(cfg.Store.DSN); errors.Is(err, fs.ErrNotExist) { // opening it would make it
			d.finding("database", "", err.Error(), "look at store.dsn; bailiwick serve makes a new database where there is none")
			return false
		}
	}
	s, err := store.Open(ctx, storeOptions(cfg, d.log(cfg.Log)))
	if err != nil {
		d.finding("database", "", err.Error(), remedy(err))
		return false
	}
	if err := s.Check(ctx); err != nil {
		d.finding("schema", "", err.Error(), remedy(err))
		_ = s.Close() // it has changed nothing
		return false
	}
	d.store = s
	version, err := s.Schema(ctx)
	if err != nil {
		d.finding("schema", "", err.Error(), remedy(err))
		return true
	}
	d.fine("schema", "", "version %d; text is compared byte by byte, and nothing is cut", version)
	return true
}

// remedies are what to do about a database that cannot be used, by words in the
// error that says so.
var remedies = []struct{ words, next string }{
	{"migrate up", "bring the schema up to date with bailiwick migrate up"},
	{"too old for it", "use the program that has brought the schema up to date, or a newer one"},
	{"compares text", "convert the tables with ALTER TABLE ... CONVERT TO CHARACTER SET utf8mb4 COLLATE and the collation that is named"},
	{"sql_mode", "take sql_mode out of store.dsn, or add STRICT_ALL_TABLES to it"},
	{"is not one that this program has made", "another application has a table of that name: give Bailiwick a database of its own"},
}

func remedy(err error) string {
	for _, r := range remedies {
		if strings.Contains(err.Error(), r.words) {
			return r.next
		}
	}
	return "look whether the database runs, and at store.driver and store.dsn"
}

// mostApart is how far the clocks may be apart before rules begin and end at
// visibly different moments.
const mostApart = 2 * time.Second

// host looks at the server of the database.
func (d *doctor) host(ctx context.Context, cfg config.Config) {
	h, err := d.store.Host(ctx)
	if err != nil {
		d.finding("clock", "", err.Error(), remedy(err))
		return
	}
	if ahead := h.Ahead(); ahead.Abs() > mostApart {
		d.finding("clock", "", fmt.Sprintf("the database's clock is %s away from ours", ahead.Abs().Round(time.Second)),
			"let the clocks of both machines be set by NTP: rules that are limited in time begin and end by them")
	} else {
		d.fine("clock", "", "the database's clock and ours are at most %s apart", mostApart)
	}
	if h.Connections == 0 {
		return
	}
	need := cfg.Store.MaxOpenConns + 1 // one follows
	if need > h.Connections {
		d.finding("connections", "", fmt.Sprintf("one replica may open %d connections, and the database accepts %d", need, h.Connections),
			"raise max_connections of the database, or lower store.max_open_conns")
		return
	}
	d.fine("connections", "", "the database accepts %d; each replica opens %d at most", h.Connections, need)
}

func (d *doctor) redis(ctx context.Context, cfg config.Redis) {
	if len(cfg.Addresses) == 0 {
		return
	}
	err := ping(ctx, cfg)
	if err != nil {
		d.finding("redis", "", err.Error(), "answers are right without it, and slower: look whether it runs, and at cache.redis")
		return
	}
	d.fine("redis", "", "answers")
}

func ping(ctx context.Context, cfg config.Redis) error {
	if cfg.Secret == "" {
		return errNoSecret
	}
	o, err := redisOptions(cfg, nil)
	if err != nil {
		return err
	}
	r, err := cache.OpenRedis(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return errors.Join(r.Ping(ctx), r.Close())
}

func (d *doctor) tenants(ctx context.Context) {
	all, err := d.store.Tenants(ctx)
	if err != nil {
		d.finding("tenants", "", err.Error(), remedy(err))
		return
	}
	looked := 0
	for _, t := range all {
		if d.tenant != "" && d.tenant != t.Code || ctx.Err() != nil {
			continue
		}
		looked++
		d.say("looking at tenant %s, revision %d", t.Code, t.Revision)
		d.history(ctx, t)
		d.rowsOf(ctx, t.Code)
		d.policy(ctx, t.Code)
	}
	if looked == 0 && d.tenant != "" {
		d.finding("tenants", d.tenant, "there is no such tenant", "look at bailiwick tenant list")
	}
}

func (d *doctor) history(ctx context.Context, t access.Tenant) {
	if err := d.store.Verify(ctx, t.Code); err != nil {
		d.finding("history", t.Code, err.Error(), "somebody has edited the history: keep a copy of the database as it is, and restore the last backup whose history is unbroken")
		return
	}
	d.fine("history", t.Code, "unbroken up to revision %d", t.Revision)
}

// mostRows is how many rows are named one by one.
const mostRows = 10

func (d *doctor) rowsOf(ctx context.Context, tenant string) {
	drift, err := d.store.Drift(ctx, tenant)
	if err != nil {
		d.finding("rows", tenant, err.Error(), remedy(err))
		return
	}
	const next = "somebody has changed the database by hand: find out who, and load the policy's files again with bailiwick policy load, which writes every row as it should be"
	for i, row := range drift {
		if i == mostRows {
			d.finding("rows", tenant, fmt.Sprintf("%d further differences", len(drift)-mostRows), next)
			return
		}
		d.finding("rows", tenant, row.String(), next)
	}
	if len(drift) == 0 {
		d.fine("rows", tenant, "they are what the history adds up to")
	}
}

// policy looks at what decides: whether it loads and compiles, and whether stock
// Casbin sees it alike.
func (d *doctor) policy(ctx context.Context, tenant string) {
	const again = "load the last policy that was right with bailiwick policy load; servers stay at their last good revision until then"
	for range 3 {
		facts, err := d.store.Load(ctx, tenant)
		if err != nil {
			d.finding("load", tenant, err.Error(), again)
			return
		}
		snapshot, err := engine.Compile(facts)
		if err != nil {
			d.finding("load", tenant, err.Error(), again)
			return
		}
		checks, findings := len(d.found.Checks), d.found.Findings
		d.fine("load", tenant, "%s loaded and compiled", plural(len(facts.Rules), "rule", "rules"))
		d.stock(ctx, &facts, snapshot)
		heads, err := d.store.Heads(ctx)
		if err == nil && heads[tenant].Revision == facts.Revision {
			return
		}
		d.found.Checks, d.found.Findings = d.found.Checks[:checks], findings // somebody has changed it meanwhile
	}
	d.skip("load", tenant, "it changes too quickly to be looked at")
}

func (d *doctor) stock(ctx context.Context, facts *access.Facts, ours *engine.Snapshot) {
	tenant, now := facts.Tenant, time.Now()
	switch {
	case facts.Fetched:
		d.skip("casbin", tenant, "its users are not kept in memory, and all together are too many for stock Casbin")
		return
	case len(facts.Rules) > d.rules:
		d.skip("casbin", tenant, "more than %d rules: stock Casbin would take long; see --rules", d.rules)
		return
	}
	stock, err := d.oracle(ctx, facts, now)
	if err != nil {
		d.finding("casbin", tenant, err.Error(), report)
		return
	}
	if stock != nil {
		d.answers(ctx, facts, ours, stock, now)
	}
}

// report is for what should never be.
const report = "this should not be: please report it, with the model and the rules that it is about"

// oracle gives stock Casbin with the rules that gorm-adapter finds in the
// database, once they are those in memory.
func (d *doctor) oracle(ctx context.Context, facts *access.Facts, now time.Time) (*oracle.Oracle, error) {
	due, err := d.store.Due(ctx, facts.Tenant, now)
	if err != nil {
		return nil, err
	}
	if due > 0 {
		d.finding("casbin", facts.Tenant, fmt.Sprintf("%s begun or ended, and other Casbin tools do not see it yet", plural(due, "rule has", "rules have")),
			"start a server, which brings such rules up to date every minute; our own answers heed the clock anyway")
		return oracle.New(*facts, nil)
	}
	adapter, err := d.store.CasbinAdapter(ctx, facts.Tenant)
	if err != nil {
		return nil, err
	}
	stock, err := oracle.New(*facts, adapter)
	if err != nil {
		return nil, err
	}
	theirs, err := stock.Held(now)
	if err != nil {
		return nil, err
	}
	if what := unlike(facts, theirs, now); what != "" {
		d.finding("casbin", facts.Tenant, what, report)
		return nil, nil //nolint:nilnil // it makes no sense to ask it
	}
	d.fine("casbin", facts.Tenant, "stock Casbin gets the same %s through gorm-adapter", plural(len(theirs), "rule", "rules"))
	return stock, nil
}

// unlike compares the rules of each kind, in their order.
func unlike(facts *access.Facts, theirs []access.Rule, now time.Time) string {
	ours := map[string][]access.Rule{}
	n := 0
	for _, r := range facts.Rules {
		if r.Validity.At(now) {
			ours[r.Type] = append(ours[r.Type], r)
			n++
		}
	}
	if len(theirs) != n {
		return fmt.Sprintf("stock Casbin gets %d rules through gorm-adapter, and %d are in memory", len(theirs), n)
	}
	for _, r := range theirs {
		if len(ours[r.Type]) == 0 || !ours[r.Type][0].Same(r) {
			return fmt.Sprintf("stock Casbin gets the rule %q through gorm-adapter, which is not at its place in memory", r)
		}
		ours[r.Type] = ours[r.Type][1:]
	}
	return ""
}

// answers compares what both say to a sample of questions.
func (d *doctor) answers(ctx context.Context, facts *access.Facts, ours *engine.Snapshot, stock *oracle.Oracle, now time.Time) {
	tenant, began, told, asked := facts.Tenant, time.Now(), time.Now(), 0
	for _, q := range oracle.Questions(*facts, d.questions) {
		if ctx.Err() != nil || time.Since(began) > d.limit {
			break
		}
		if what := differs(&q, ours, stock, now); what != "" {
			d.finding("answers", tenant, what, report)
			return
		}
		if asked++; time.Since(told) > 5*time.Second {
			told = time.Now()
			d.say("  %d of %d questions", asked, d.questions)
		}
	}
	if asked == 0 {
		d.skip("answers", tenant, "no question was asked")
		return
	}
	d.fine("answers", tenant, "stock Casbin and we answer %s alike", plural(asked, "question", "questions"))
}

func differs(q *access.Request, ours *engine.Snapshot, stock *oracle.Oracle, now time.Time) string {
	theirs, err := stock.Decide(q, now)
	if err != nil && !errors.Is(err, access.ErrInvalid) {
		return fmt.Sprintf("%s: stock Casbin has no answer: %v", asking(q), err)
	}
	got, err := ours.Decide(q, now)
	if err != nil && !errors.Is(err, access.ErrInvalid) {
		return fmt.Sprintf("%s: we have no answer: %v", asking(q), err)
	}
	same := got.Allowed == theirs.Allowed && got.Reason == theirs.Reason
	if theirs.Rule != nil {
		same = same && got.Rule != nil && got.Rule.Same(*theirs.Rule)
	}
	if same {
		return ""
	}
	return fmt.Sprintf("%s: we say %s, stock Casbin %s", asking(q), saying(&got), saying(&theirs))
}

func asking(q *access.Request) string {
	if q.Raw != nil {
		return fmt.Sprintf("%q%s", q.Raw, q.RawSet)
	}
	return fmt.Sprintf("%s, %s, %s at %s", q.Subject, q.Actions[0], q.Section, q.Scope)
}

func saying(a *access.Decision) string {
	if a.Rule == nil {
		return string(a.Reason)
	}
	return fmt.Sprintf("%s %q", a.Reason, a.Rule)
}

// write lists everything, and then what to do, each thing once.
func (a doctorAnswer) write(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tTENANT\tRESULT\tWHAT")
	for _, c := range a.Checks {
		tenant := c.Tenant
		if tenant == "" {
			tenant = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.Check, tenant, c.Result, c.What)
	}
	_ = t.Flush() // the writer below has said what is wrong with it
	if a.Findings == 0 {
		fmt.Fprintln(w, "\nnothing was found")
		return
	}
	fmt.Fprintf(w, "\n%s found. What to do next:\n", plural(a.Findings, "thing was", "things were"))
	told := map[string]bool{}
	for _, c := range a.Checks {
		if c.Next != "" && !told[c.Check+c.Next] {
			told[c.Check+c.Next] = true
			fmt.Fprintf(w, "  %s: %s\n", c.Check, c.Next)
		}
	}
}
