package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/cache"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/store"
)

// A crowd has many users, each in three groups of a few. Group and role of the
// same number go together, and give one right on the section of that number.
const (
	crowdGroups   = 100
	groupsPerUser = 3
	crowdRoot     = access.Section("System")
)

func groupCode(i int) string { return fmt.Sprintf("group-%d", i%crowdGroups) }
func roleCode(i int) string  { return fmt.Sprintf("role-%d", i%crowdGroups) }
func userID(i int) string    { return fmt.Sprintf("user-%09d", i) }

func crowdSection(i int) access.Section {
	return access.Section(fmt.Sprintf("%s.Part%d", crowdRoot, i%crowdGroups))
}

// crowdFacts are those of the crowd without its users.
func crowdFacts() access.Facts {
	f := access.Facts{
		Tenant: access.DefaultTenant, Revision: 1, Policy: 1, Combining: access.DenyOverrides, Root: crowdRoot, Fetched: true,
		Catalogue: []access.Application{{Code: "crowd"}}, Groups: map[string]access.GroupKind{}, Rules: []access.Rule{access.Sentinel()},
	}
	for i := range crowdGroups {
		f.Catalogue[0].Sections = append(f.Catalogue[0].Sections, access.SectionEntry{Path: crowdSection(i)})
		f.Groups[groupCode(i)] = access.GroupRegular
		role := access.Name(access.KindRole, roleCode(i))
		f.Rules = append(f.Rules,
			line("g", access.Name(access.KindGroup, groupCode(i)), role, string(access.Everywhere)),
			line("p", role, string(access.Everywhere), string(crowdSection(i)), access.Show.String(), string(access.Allow), access.NoCondition))
	}
	for i := range f.Rules {
		f.Rules[i].Place = int64(i+1) * gap
	}
	return f
}

// memberships are the rules of one user.
func memberships(user int) (all []access.Rule) {
	for j := range groupsPerUser {
		r := line("g", access.Name(access.KindUser, userID(user)), access.Name(access.KindGroup, groupCode(user+j)), string(access.Everywhere))
		r.Place = int64(1+2*crowdGroups+user*groupsPerUser+j+1) * gap
		all = append(all, r)
	}
	return all
}

// crowdOfUsers streams facts and users into a database.
func crowdOfUsers(f access.Facts, users int) crowd {
	c := crowdOf(f)
	c.users = func(yield func(string) bool) {
		for i := range users {
			if !yield(userID(i)) {
				return
			}
		}
	}
	c.rules = func(yield func(access.Rule) bool) {
		for _, r := range f.Rules {
			if !yield(r) {
				return
			}
		}
		for i := range users {
			for _, r := range memberships(i) {
				if !yield(r) {
					return
				}
			}
		}
	}
	return c
}

// crowdQuestion asks whether a user may do what one of his groups allows, or on
// odd turns what none does.
func crowdQuestion(user, turn int) (r access.Request, want bool) {
	action := [...]access.Action{"show", "delete"}[turn%2]
	return access.Request{
		Subject: access.Subject{Kind: access.KindUser, ID: userID(user)},
		Actions: []access.Action{action}, Section: crowdSection(user + turn%groupsPerUser), Scope: access.Everywhere,
	}, action == "show"
}

// What is measured of subjects.
const (
	coldSubject = "cold subject, "
	warmSubject = "warm subject, "
	cachedCold  = "cold subject, answer from Redis"
	scanPlan    = "scan plan"
	subjectSize = "memory of a warm subject"
)

// subjects measures users who are not loaded with the policy.
func (b *bench) subjects(ctx context.Context) error {
	for _, driver := range drivers() {
		if err := b.subjectsOf(ctx, driver); err != nil {
			return fmt.Errorf("%s: %w", named(driver), err)
		}
	}
	if b.remembered == 0 {
		return nil
	}
	if os.Getenv(redisVariable) == "" {
		say("%s is not set: Redis is left out", redisVariable)
	} else if err := b.scans(ctx); err != nil {
		return err
	}
	return b.subjectMemory(ctx)
}

func (b *bench) subjectsOf(ctx context.Context, driver string) (err error) {
	users := b.members / groupsPerUser
	say("%s: filling in %s memberships", named(driver), thousands(float64(b.members)))
	d, remove, err := b.newDatabase(ctx, driver)
	if err != nil {
		return err
	}
	defer remove()
	f := crowdFacts()
	if _, err := d.fill(ctx, f, crowdOfUsers(f, users)); err != nil {
		return err
	}
	o := d.options()
	o.ResidentUsers = -1
	s, err := store.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	say("%s: asking about subjects", named(driver))
	e, err := fetching(ctx, s)
	if err != nil {
		return err
	}
	sample := rand.New(rand.NewPCG(1, 2)).Perm(users)[:min(b.asked, users/2)] //nolint:gosec // the same every time
	cold, err := askEach(ctx, e, sample)
	if err != nil {
		return err
	}
	bare, err := d.bareSelects(ctx, sample)
	if err != nil {
		return err
	}
	size := figure{Group: "subjects", Size: b.members, Of: "memberships", Unit: "ns"}
	b.report.add(size.timed(coldSubject+named(driver), cold, "bare SELECT of the memberships", bare))
	warm := size
	warm.What = warmSubject + named(driver)
	if warm.Ours, err = b.warmSubjects(ctx, e, sample); err != nil {
		return err
	}
	b.report.add(warm)
	if driver == store.MySQL && os.Getenv(redisVariable) != "" {
		return b.throughRedis(ctx, s, size, sample)
	}
	return nil
}

// timed gives a figure with medians and 99th percentiles.
func (f figure) timed(what string, ours []float64, beside string, theirs []float64) figure {
	f.What, f.Ours, f.P99 = what, median(ours), quantile(ours, 0.99)
	f.Beside, f.Theirs, f.TheirsP99 = beside, median(theirs), quantile(theirs, 0.99)
	return f
}

// fetching makes an engine that has the tenant's policy, and asks the store for
// its users.
func fetching(ctx context.Context, s *store.Store) (*engine.Engine, error) {
	f, err := s.Load(ctx, access.DefaultTenant)
	if err != nil {
		return nil, err
	}
	if !f.Fetched {
		return nil, fmt.Errorf("the users were loaded with the policy")
	}
	e := engine.New(engine.Options{Subjects: s, CacheBytes: 64 << 20})
	return e, install(e, f)
}

// decider is an engine, or a cache before one.
type decider interface {
	Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error)
}

// askEach asks one question about each user and gives the time of each. Every
// answer is looked at.
func askEach(ctx context.Context, e decider, users []int) (took []float64, err error) {
	for turn, user := range users {
		r, want := crowdQuestion(user, turn)
		began := time.Now()
		d, err := e.Decide(ctx, access.DefaultTenant, &r)
		took = append(took, float64(time.Since(began)))
		if err != nil {
			return nil, err
		}
		if d.Allowed != want {
			return nil, fmt.Errorf("%s on %s: answered %v (%s), want %v", r.Subject, r.Section, d.Allowed, d.Reason, want)
		}
	}
	return took, nil
}

func (b *bench) warmSubjects(ctx context.Context, e decider, users []int) (float64, error) {
	all := make([]access.Request, len(users))
	for turn, user := range users {
		all[turn], _ = crowdQuestion(user, turn)
	}
	return typical(b.cell, func(i int) error {
		_, err := e.Decide(ctx, access.DefaultTenant, &all[i%len(all)])
		return err
	})
}

// bareSelects reads nothing but the memberships, by a prepared statement.
func (d *database) bareSelects(ctx context.Context, users []int) (took []float64, err error) {
	i, err := d.filler(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.db.Close()) }()
	query, err := i.db.PrepareContext(ctx, "SELECT v1, v2 FROM casbin_rule WHERE tenant_id = ? AND ptype = 'g' AND v0 = ?")
	if err != nil {
		return nil, err
	}
	defer query.Close()
	for _, user := range users {
		began := time.Now()
		if err := i.selects(query, access.Name(access.KindUser, userID(user+1))); err != nil { // not the rows just read
			return nil, err
		}
		took = append(took, float64(time.Since(began)))
	}
	return took, nil
}

func (i *filler) selects(query *sql.Stmt, name string) error {
	rows, err := query.QueryContext(i.ctx, i.tenant, name)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var v1, v2 string
		if err := rows.Scan(&v1, &v2); err != nil {
			return err
		}
	}
	return rows.Err()
}

// pinning gives the cache what the wiring of the server gives it.
type pinning struct{ *engine.Engine }

// Pin gives the snapshot in force.
func (p pinning) Pin(tenant string) (cache.Snapshot, error) { return p.Engine.Pin(tenant) }

// openRedis uses keys of this run only.
func (b *bench) openRedis() (*cache.Redis, error) {
	return cache.OpenRedis(cache.RedisOptions{
		Addresses: []string{os.Getenv(redisVariable)}, Prefix: filepath.Base(b.dir) + ":",
		Secret: strings.Repeat("bench", 8), Timeout: time.Second, TTL: 10 * time.Minute,
	})
}

// twoReplicas asks each question of one cache, and when Redis has all answers,
// of a second one whose engine knows no subject. It gives the times of the
// second.
func (b *bench) twoReplicas(fresh func() (*engine.Engine, error), mode cache.Mode, ask func(decider) ([]float64, error)) ([]float64, error) {
	redis, err := b.openRedis()
	if err != nil {
		return nil, err
	}
	defer redis.Close()
	var took []float64
	for turn := range 2 {
		e, err := fresh()
		if err != nil {
			return nil, err
		}
		c := cache.New(pinning{e}, cache.Options{Redis: redis, Mode: mode})
		if took, err = ask(c); err != nil {
			return nil, err
		}
		if turn == 0 {
			if err := written(redis, len(took)); err != nil {
				return nil, err
			}
			continue
		}
		if s := c.Stats().Redis; s.Hits < uint64(len(took)) {
			return nil, fmt.Errorf("of %d answers only %d came from Redis", len(took), s.Hits)
		}
	}
	return took, nil
}

// written waits until Redis has all answers.
func written(r *cache.Redis, answers int) error {
	for range 1000 {
		s := r.Stats()
		if s.Written+s.WriteErrors+s.Dropped >= uint64(answers) { //nolint:gosec // a count
			if s.WriteErrors+s.Dropped > 0 {
				return fmt.Errorf("%d answers were not written to Redis", s.WriteErrors+s.Dropped)
			}
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("answers do not reach Redis")
}

func (b *bench) throughRedis(ctx context.Context, s *store.Store, size figure, sample []int) error {
	fresh := func() (*engine.Engine, error) { return fetching(ctx, s) }
	took, err := b.twoReplicas(fresh, cache.Auto, func(d decider) ([]float64, error) { return askEach(ctx, d, sample) })
	if err != nil {
		return err
	}
	gets, err := bareGets(ctx, len(sample))
	if err != nil {
		return err
	}
	b.report.add(size.timed(cachedCold, took, "bare GET", gets))
	return nil
}

// scanModel compares numbers first, which can fail, so no rule may be left out.
const scanModel = `[request_definition]
r = age, obj, act
[policy_definition]
p = age, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.age >= 18 && r.obj == p.obj && r.act == p.act
`

const scanRules = 1_000

func scanFacts() access.Facts {
	f := access.Facts{Tenant: access.DefaultTenant, Revision: 1, Policy: 1, Model: scanModel}
	for i := range scanRules {
		f.Rules = append(f.Rules, line("p", "adults", fmt.Sprint("shelf", i), "read"))
		f.Rules[i].Place = int64(i+1) * gap
	}
	return f
}

// scanQuestion is never asked twice, and on even turns allowed.
func scanQuestion(i int) access.Request {
	return access.Request{Raw: []any{float64(18 + i), fmt.Sprint("shelf", scanRules/2+i%(scanRules/2)), [...]string{"read", "write"}[i%2]}}
}

// scans measures a model that has to look at every rule, with Redis and without.
func (b *bench) scans(ctx context.Context) error {
	say("a scan plan, without Redis and with")
	fresh := func() (*engine.Engine, error) {
		e := engine.New(engine.Options{})
		return e, install(e, scanFacts())
	}
	questions := min(b.asked, 1000)
	ask := func(d decider) (took []float64, err error) {
		for i := range questions {
			r := scanQuestion(i)
			began := time.Now()
			a, err := d.Decide(ctx, access.DefaultTenant, &r)
			took = append(took, float64(time.Since(began)))
			if err != nil || a.Allowed != (i%2 == 0) {
				return nil, errors.Join(err, fmt.Errorf("scan question %d is answered %v", i, a.Allowed))
			}
		}
		return took, nil
	}
	e, err := fresh()
	if err != nil {
		return err
	}
	if s, _ := e.Snapshot(access.DefaultTenant); s.Plans()[0].Name != "scan" {
		return fmt.Errorf("the model is answered by the plan %s, not by scan", s.Plans()[0].Name)
	}
	alone, err := ask(e)
	if err != nil {
		return err
	}
	near := cache.New(pinning{e}, cache.Options{Memory: 64 << 20})
	if _, err := ask(near); err != nil {
		return err
	}
	remembered, err := ask(near)
	if err != nil {
		return err
	}
	if hits := near.Stats().Memory.Hits; hits < uint64(questions) { //nolint:gosec // a count
		return fmt.Errorf("of %d answers only %d came from memory", questions, hits)
	}
	shared, err := b.twoReplicas(fresh, cache.Auto, ask)
	if err != nil {
		return err
	}
	stockAsk, err := stockCasbin(scanFacts())
	if err != nil {
		return err
	}
	var theirs []float64
	for i := range questions {
		r := scanQuestion(i)
		began := time.Now()
		if allowed, err := stockAsk(r); err != nil || allowed != (i%2 == 0) {
			return errors.Join(err, fmt.Errorf("stock Casbin answers scan question %d with %v", i, allowed))
		}
		theirs = append(theirs, float64(time.Since(began)))
	}
	size := figure{Group: "subjects", Size: scanRules, Of: "rules", Unit: "ns"}
	b.report.add(size.timed(scanPlan+", without Redis", alone, "stock Casbin", theirs))
	b.report.add(size.timed(scanPlan+", answer from Redis", shared, "stock Casbin", theirs))
	b.report.add(size.timed(scanPlan+", answer from memory", remembered, "stock Casbin", theirs))
	return nil
}

// crowdInMemory stands for a store, so that only what the engine remembers is
// measured.
type crowdInMemory struct{}

// Subjects gives what a store would.
func (crowdInMemory) Subjects(_ context.Context, _ string, ids []string) ([]access.SubjectFacts, error) {
	all := make([]access.SubjectFacts, len(ids))
	for i, id := range ids {
		var user int
		if _, err := fmt.Sscanf(id, "user-%d", &user); err != nil {
			return nil, err
		}
		all[i] = access.SubjectFacts{
			UserFacts: access.UserFacts{ID: id, Status: access.UserActive}, Known: true, Rules: memberships(user), Revision: 1,
		}
	}
	return all, nil
}

// Users is for searches, and nobody searches.
func (crowdInMemory) Users(context.Context, string, string, int) ([]access.SubjectFacts, error) {
	return nil, nil
}

// subjectMemory measures what one more subject takes that is remembered.
func (b *bench) subjectMemory(ctx context.Context) error {
	e := engine.New(engine.Options{Subjects: crowdInMemory{}, CacheBytes: 4 << 30})
	if err := install(e, crowdFacts()); err != nil {
		return err
	}
	users := make([]int, b.remembered)
	for i := range users {
		users[i] = i
	}
	before := heap()
	if _, err := askEach(ctx, e, users); err != nil {
		return err
	}
	taken := float64(heap()-before) / float64(len(users))
	if stats := e.Stats(); stats[0].CacheEntries < len(users) {
		return fmt.Errorf("of %d subjects %d are remembered", len(users), stats[0].CacheEntries)
	}
	b.report.add(figure{Group: "subjects", What: subjectSize, Size: groupsPerUser, Of: "memberships", Unit: "B", Ours: taken})
	return nil
}
