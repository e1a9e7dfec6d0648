package store_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// staffed is a policy of so many users in so many groups.
func staffed(users, groups int) *access.Policy {
	p := &access.Policy{
		Tenant: access.DefaultTenant, Licences: []access.Licence{{Feature: "chats"}, {Feature: "cha"}},
		Roles: []access.Role{
			{Code: "boss", Roles: []access.Link{{To: access.SuperuserRole}}},
			{Code: "clerk"},
		},
		Groups: []access.Group{{Code: "chiefs", Roles: []access.Link{{To: "boss"}}}, {Code: "heads", Base: "chiefs"}, {Code: "newest"}},
	}
	for i := range groups {
		p.Groups = append(p.Groups, access.Group{Code: fmt.Sprintf("group-%d", i), Attributes: []map[string]any{3: {"is_manager": true}, 4: {"is_manager": "true"}, 5: {"is_manager": false}, 7: nil}[i%8]})
	}
	statuses := []access.UserStatus{access.UserDisabled, access.UserInvited, access.UserDeleted, access.UserLocked}
	for i := range users {
		u := access.User{
			ID: fmt.Sprintf("u%d", i), Email: fmt.Sprintf("Person%d@Example.com", i), Name: fmt.Sprintf("%s %d", []string{"Else", "Nelson", "ÉLAN", "Émile"}[i%4], i),
			Groups: []access.Link{{To: fmt.Sprintf("group-%d", i%groups)}},
		}
		if i%40 == 7 {
			u.Status = statuses[i/40%4]
			if u.Status == access.UserDeleted {
				u.DeletedAt = time.Unix(1e9, 0)
			}
		}
		switch i % 100 {
		case 3:
			u.Licences = []string{"chats"}
		case 4:
			u.Roles = []access.Link{{To: "clerk"}}
		case 5:
			u.ExternalID = fmt.Sprintf("x%d", i)
		case 6:
			u.Groups = append(u.Groups, access.Link{To: "heads"})
		}
		if i >= users*9/10 {
			u.Groups = append(u.Groups, access.Link{To: "newest"})
		}
		p.Users = append(p.Users, u)
	}
	return p
}

// TestFindUsers (Req 31, 32, 112): every list, read page by page, is what one
// gets by looking at all accounts.
func TestFindUsers(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			s, p := accesstest.OpenStore(t, open(t)), staffed(400, 7)
			if _, err := s.Apply(t.Context(), p, any1); err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(5, 5))
			for range 300 {
				s.Rosters(r.IntN(2) * 1000) // in memory, or not
				q := randomList(r)
				if got, want := listed(t, s, q), naive(p, q); !slices.Equal(got, want) {
					t.Fatalf("%+v:\ngot  %v\nwant %v", q, got, want)
				}
			}
		})
	}
}

func randomList(r *rand.Rand) access.UserSearch {
	q := access.UserSearch{
		Sort: []access.UserSort{"", access.SortID, access.SortName, access.SortEmail}[r.IntN(4)], Descending: r.IntN(2) == 0, Most: 1 + r.IntN(60),
	}
	yes := r.IntN(2) == 0
	for range 1 + r.IntN(2) {
		switch r.IntN(12) {
		case 0:
			q.Text = []string{"els", "NELS", "élan", "u1", "@example", "nobody", "son 1", "%", "_"}[r.IntN(9)]
		case 1:
			q.Email = "person17@EXAMPLE.com"
		case 2:
			q.ExternalID = "x105"
		case 3:
			q.Statuses = [][]access.UserStatus{{access.UserActive}, {access.UserDeleted}, {access.UserInvited, access.UserDisabled}}[r.IntN(3)]
		case 4:
			q.Group = []string{"group-3", "heads", "none"}[r.IntN(3)]
		case 5:
			q.Role = "clerk"
		case 9:
			q.AnyGroup = [][]string{{"group-3", "heads"}, {"group-1", "none"}, {"none"}}[r.IntN(3)]
		case 10:
			q.EveryGroup = [][]string{{"newest", "group-2"}, {"group-1", "none"}, {"heads", "group-6", "heads"}}[r.IntN(3)]
		case 6:
			q.Licence = []string{"chats", "cha"}[r.IntN(2)]
		case 7:
			q.Superuser = &yes
		case 8:
			q.Manager = &yes
		}
	}
	return q
}

func listed(t *testing.T, s *store.Store, q access.UserSearch) (ids []string) {
	t.Helper()
	for {
		found, err := s.FindUsers(t.Context(), access.DefaultTenant, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		for _, u := range found.Users {
			ids = append(ids, u.ID)
		}
		if len(found.Users) > q.Most || found.More && len(found.Users) < q.Most {
			t.Fatalf("%+v: %d of %d on the page, more: %t", q, len(found.Users), q.Most, found.More)
		}
		if !found.More {
			if found.Total >= 0 && found.Total != len(ids) {
				t.Fatalf("%+v: the total is %d, and %d were listed", q, found.Total, len(ids))
			}
			return ids
		}
		q.After = found.Places[len(found.Places)-1]
	}
}

// naive looks at every account.
func naive(p *access.Policy, q access.UserSearch) (ids []string) {
	var all []access.User
	linked := func(links []access.Link, to string) bool {
		return slices.ContainsFunc(links, func(l access.Link) bool { return l.To == to })
	}
	for _, u := range p.Users {
		status := cmp.Or(u.Status, access.UserActive)
		switch {
		case len(q.Statuses) == 0 && status == access.UserDeleted, len(q.Statuses) > 0 && !slices.Contains(q.Statuses, status):
		case q.Text != "" && !strings.Contains(strings.ToLower(u.Email+"\n"+u.Name+"\n"+u.ID), strings.ToLower(q.Text)):
		case q.Email != "" && !strings.EqualFold(q.Email, u.Email):
		case q.ExternalID != "" && q.ExternalID != u.ExternalID:
		case q.Group != "" && (status == access.UserDeleted || !linked(u.Groups, q.Group)):
		case len(q.AnyGroup) > 0 && (status == access.UserDeleted || !slices.ContainsFunc(q.AnyGroup, func(code string) bool { return linked(u.Groups, code) })),
			slices.ContainsFunc(q.EveryGroup, func(code string) bool { return status == access.UserDeleted || !linked(u.Groups, code) }):
		case q.Role != "" && (status == access.UserDeleted || !linked(u.Roles, q.Role)):
		case q.Licence != "" && !slices.Contains(u.Licences, q.Licence):
		case q.Superuser != nil && *q.Superuser != (status != access.UserDeleted && linked(u.Groups, "heads")):
		case q.Manager != nil && *q.Manager != (status != access.UserDeleted && slices.ContainsFunc(p.Groups, func(g access.Group) bool {
			return g.Attributes["is_manager"] == true && linked(u.Groups, g.Code)
		})):
		default:
			all = append(all, u)
		}
	}
	key := map[access.UserSort]func(access.User) string{
		access.SortName: func(u access.User) string { return strings.ToUpper(u.Name) }, access.SortEmail: func(u access.User) string { return strings.ToUpper(u.Email) },
	}[q.Sort]
	slices.SortFunc(all, func(a, b access.User) int {
		c := strings.Compare(a.ID, b.ID)
		if key != nil {
			c = cmp.Or(strings.Compare(key(a), key(b)), c)
		}
		if q.Descending {
			return -c
		}
		return c
	})
	for _, u := range all {
		ids = append(ids, u.ID)
	}
	return ids
}

// TestFindUsers_follow: texts are found in accounts as they are now, whoever has
// changed them, and as they were in a reading that began before.
func TestFindUsers_follow(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			o := open(t)
			s, p := accesstest.OpenStore(t, o), staffed(300, 7)
			other, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = other.Close() })
			r := rand.New(rand.NewPCG(7, 7))
			for round := range 40 {
				for range r.IntN(40) {
					u := &p.Users[r.IntN(len(p.Users))]
					u.Name = fmt.Sprintf("%s %d", []string{"Else", "Nelson", "Élan"}[r.IntN(3)], r.IntN(1000))
				}
				if r.IntN(3) == 0 {
					p.Users = append(p.Users, access.User{ID: fmt.Sprintf("later-%d", round), Name: "Nelson", Email: fmt.Sprintf("later%d@example.com", round), Groups: []access.Link{{To: "newest"}}})
				}
				if _, err := []*store.Store{s, other}[r.IntN(2)].Apply(t.Context(), p, any1); err != nil {
					t.Fatal(err)
				}
				for _, text := range []string{"nels", "élan 1", "later", "e 5"} {
					q := access.UserSearch{Text: text, Sort: access.SortName, Most: 1 + r.IntN(60), Descending: r.IntN(2) == 0}
					if got, want := listed(t, s, q), naive(p, q); !slices.Equal(got, want) {
						t.Fatalf("round %d, %q:\ngot  %v\nwant %v", round, text, got, want)
					}
				}
			}
			if s.Rostered() == 0 {
				t.Error("nobody was looked for in memory")
			}
		})
	}
}

// TestFindUsers_later: as long as the accounts of a large tenant are not in memory
// yet, the database gives the same answers.
func TestFindUsers_later(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			s, p := accesstest.OpenStore(t, open(t)), staffed(200, 7)
			s.ReadAtOnce(10)
			if _, err := s.Apply(t.Context(), p, any1); err != nil {
				t.Fatal(err)
			}
			q := access.UserSearch{Text: "nels", Sort: access.SortName, Most: 7}
			for came := 0; came < 3; {
				if got, want := listed(t, s, q), naive(p, q); !slices.Equal(got, want) {
					t.Fatalf("got  %v\nwant %v", got, want)
				}
				if s.Rostered() > 0 {
					came++
				}
			}
		})
	}
}

// TestFindUsers_epoch: after a restore everybody is looked for in what is there
// then, not in what was there before.
func TestFindUsers_epoch(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			o := open(t)
			s := accesstest.OpenStore(t, o)
			if _, err := s.Apply(t.Context(), staffed(10, 3), any1); err != nil {
				t.Fatal(err)
			}
			q := access.UserSearch{Text: "restored", Sort: access.SortID, Most: 10}
			if ids := listed(t, s, q); len(ids) != 0 {
				t.Fatal(ids)
			}
			execute(t, beside(t, o), "UPDATE users SET search = 'MAIL\nRESTORED\nU1' WHERE id = 'u1'")
			if err := s.RenewEpoch(t.Context(), access.DefaultTenant, any1); err != nil {
				t.Fatal(err)
			}
			if ids := listed(t, s, q); !slices.Equal(ids, []string{"u1"}) {
				t.Errorf("%v", ids)
			}
		})
	}
}

// TestFindUsers_ended: whoever was in a group until a moment is not listed there
// once that is recorded, which changes a rule and no account.
func TestFindUsers_ended(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			s, p, until := accesstest.OpenStore(t, open(t)), staffed(10, 3), time.Now().Add(time.Hour).Truncate(time.Second)
			p.Users[1].Groups = append(p.Users[1].Groups, access.Link{To: "newest", Validity: access.Validity{Until: until}})
			if _, err := s.Apply(t.Context(), p, any1); err != nil {
				t.Fatal(err)
			}
			q := access.UserSearch{Group: "newest", Sort: access.SortID, Most: 10}
			before := listed(t, s, q)
			if _, err := s.Expire(t.Context(), access.DefaultTenant, until.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if after := listed(t, s, q); !slices.Equal(before, []string{"u1", "u9"}) || !slices.Equal(after, []string{"u9"}) {
				t.Errorf("%v, then %v", before, after)
			}
		})
	}
}

// TestCountHolders: groups and roles are counted as the database counts them,
// also where somebody is linked who has no account.
func TestCountHolders(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			s, p := accesstest.OpenStore(t, open(t)), staffed(200, 7)
			p.Users[3].Groups = append(p.Users[3].Groups, access.Link{To: "newest"})
			codes := []string{"newest", "group-3", "heads", "none"}
			for range 2 {
				if _, err := s.Apply(t.Context(), p, any1); err != nil {
					t.Fatal(err)
				}
				var counts [2]map[string]int
				for i := range counts {
					s.Rosters(i)
					err := s.View(t.Context(), p.Tenant, func(r access.Reading) (err error) {
						counts[i], err = r.CountHolders(access.KindGroup, codes)
						return err
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				if !maps.Equal(counts[0], counts[1]) || counts[0]["newest"] != 21 {
					t.Errorf("in memory %v, in the database %v", counts[0], counts[1])
				}
				p.Rules = append(p.Rules, access.Rule{Type: "g", Values: []string{"u:stranger", "g:heads", "*"}})
			}
		})
	}
}

// TestFindUsers_bound: accounts of several tenants are in memory up to a number.
func TestFindUsers_bound(t *testing.T) {
	s := accesstest.OpenStore(t, databases["sqlite"](t))
	s.Rosters(250)
	for i := range 6 {
		p := staffed(100, 3)
		p.Tenant = fmt.Sprintf("tenant-%d", i)
		if i == 5 {
			p = staffed(260, 3)
		} else if _, err := s.CreateTenant(t.Context(), access.Tenant{Code: p.Tenant}, any1); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(t.Context(), p, any1); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			found, err := s.FindUsers(t.Context(), p.Tenant, access.UserSearch{Text: "person", Most: 10})
			if want := len(naive(p, access.UserSearch{})); err != nil || len(found.Users) != 10 || i < 5 && found.Total != want {
				t.Fatalf("%s: %d of %d (want %d), %v", p.Tenant, len(found.Users), found.Total, want, err)
			}
		}
		if n := s.Rostered(); n > 250 || n == 0 {
			t.Errorf("%d accounts are in memory after %d tenants", n, i+1)
		}
	}
}

// lists are what people look for, and the index that must find it.
var lists = map[string]struct {
	q     access.UserSearch
	index string
}{
	"newest first":         {access.UserSearch{Descending: true}, "users_created"},
	"by name":              {access.UserSearch{Sort: access.SortName}, "users_name"},
	"by name, far behind":  {access.UserSearch{Sort: access.SortName, After: access.UserPlace{Key: "NELSON 5", ID: "u5"}}, "users_name"},
	"by e-mail":            {access.UserSearch{Sort: access.SortEmail}, "users_mail"},
	"one e-mail":           {access.UserSearch{Email: "person77@example.com"}, "users_mail"},
	"a group":              {access.UserSearch{Group: "group-3", Sort: access.SortName}, "casbin_rule_held"},
	"the end of a list":    {access.UserSearch{Group: "newest", Sort: access.SortEmail}, "casbin_rule_held"},
	"one of two groups":    {access.UserSearch{AnyGroup: []string{"group-3", "newest"}, Sort: access.SortName}, "users_name"},
	"all of two groups":    {access.UserSearch{EveryGroup: []string{"group-3", "newest"}, Sort: access.SortName}, "casbin_rule_held"},
	"a text of a few":      {access.UserSearch{Text: "n 7777"}, "users_search"},
	"a text of many":       {access.UserSearch{Text: "els", Sort: access.SortName}, "users_name"},
	"the end by its text":  {access.UserSearch{Text: "émile", Sort: access.SortName}, "users_name"},
	"a text of nobody":     {access.UserSearch{Text: "zzz"}, "users_search"},
	"a text in a group":    {access.UserSearch{Text: "nelson", Group: "group-3"}, "casbin_rule_held"},
	"a text and a state":   {access.UserSearch{Text: "person1", Statuses: []access.UserStatus{access.UserActive}, Sort: access.SortEmail}, "users_mail"},
	"a text of managers":   {access.UserSearch{Text: "son 1", Manager: new(true)}, "users_created"},
	"the disabled":         {access.UserSearch{Statuses: []access.UserStatus{access.UserDisabled}, Sort: access.SortName}, "users_status"},
	"the active":           {access.UserSearch{Statuses: []access.UserStatus{access.UserActive}, Sort: access.SortName}, "users_name"},
	"holders of a licence": {access.UserSearch{Licence: "chats"}, "users_seats"},
	"those of a store":     {access.UserSearch{Home: "store:1"}, "users_home"},
	"superusers":           {access.UserSearch{Superuser: new(true)}, "casbin_rule_held"},
	"managers":             {access.UserSearch{Manager: new(true), Sort: access.SortName}, "users_name"},
	"a few online":         {access.UserSearch{Online: new(true)}, "session_seen"},
	"all but superusers":   {access.UserSearch{Superuser: new(false), Text: "els"}, "users_created"},
}

// TestFindUsers_indexes: no list reads the table of users from end to end.
func TestFindUsers_indexes(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			s := crowd(t, open, 20_000, 100)
			for _, most := range []int{0, 1} { // in memory, and in the database
				s.Rosters(most)
				for what, list := range lists {
					list.q.Most = 50
					plan, err := s.Plan(t.Context(), access.DefaultTenant, list.q)
					if err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					text := strings.Join(plan, "\n")
					if scans(text) || most == 1 && !strings.Contains(text, list.index) {
						t.Errorf("%s does not use %s:\n%s", what, list.index, text)
					}
				}
			}
		})
	}
}

// scans tells whether a plan reads a table of ours from end to end.
func scans(plan string) bool {
	return strings.Contains(plan, "SCAN users") || strings.Contains(plan, "SCAN casbin_rule") || strings.Contains(plan, "type=ALL possible_keys=PRIMARY")
}

// crowd opens a store with so many users.
func crowd(t testing.TB, open func(testing.TB) store.Options, users, groups int) *store.Store {
	t.Helper()
	s, p := accesstest.OpenStore(t, open(t)), staffed(users, groups)
	if err := s.Seed(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return s
}

// BenchmarkFindUsers reads first pages of 50 at 100,000 users and 1,000 groups.
func BenchmarkFindUsers(b *testing.B) {
	for name, open := range databases {
		b.Run(name, func(b *testing.B) {
			s := crowd(b, open, 100_000, 1000)
			for what, list := range lists {
				b.Run(strings.ReplaceAll(what, " ", "-"), func(b *testing.B) {
					list.q.Most = 50
					var took []time.Duration
					for b.Loop() {
						began := time.Now()
						if _, err := s.FindUsers(b.Context(), access.DefaultTenant, list.q); err != nil {
							b.Fatal(err)
						}
						took = append(took, time.Since(began))
					}
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)*95/100].Microseconds()), "p95-µs")
				})
			}
		})
	}
}

// TestFindUsers_online (Req 32, 33): whoever used a session within the last five
// minutes is online, until it ends; nobody else is.
func TestFindUsers_online(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			now := time.Now().UTC()
			o := open(t)
			o.Clock = func() time.Time { return now }
			s := accesstest.OpenStore(t, o)
			if _, err := s.Apply(t.Context(), staffed(10, 3), any1); err != nil {
				t.Fatal(err)
			}
			db := beside(t, o)
			for id, c := range map[string]struct{ seen, ends time.Duration }{
				"u1": {-time.Minute, time.Hour}, "u2": {-access.OnlineFor + time.Second, time.Hour},
				"u3": {-access.OnlineFor, time.Hour}, "u4": {-time.Minute, 0},
			} {
				execute(t, db, fmt.Sprintf(`INSERT INTO session (secret_hash, id, tenant_id, user_id, epoch, steps, created_at, seen_at, idle, ends_at, address, agent)
					SELECT %s, '%s', id, '%s', epoch, '', 1, %d, 1, %d, '', '' FROM tenant WHERE code = 'default'`,
					"x'"+strings.Repeat("0", 62)+id[1:]+"0'", id, id, now.Add(c.seen).UnixMicro(), now.Add(c.ends).UnixMicro()))
			}
			for online, want := range map[bool]string{true: "[u1 u2]", false: "[u0 u3 u4 u5 u6 u8 u9]"} {
				q := access.UserSearch{Online: &online, Sort: access.SortID, Most: 3}
				got := slices.DeleteFunc(listed(t, s, q), func(id string) bool { return id == "u7" }) // who is disabled
				if fmt.Sprint(got) != want {
					t.Errorf("online %t: %v, want %s", online, got, want)
				}
			}
		})
	}
}
