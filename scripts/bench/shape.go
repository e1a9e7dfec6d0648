package main

import (
	"fmt"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

// shape is a kind of policy that people have, in any size. It is the same
// every time.
type shape struct {
	name     string
	about    string // for people
	facts    func(rules int) access.Facts
	subjects func(rules int) int               // how many there are to ask about
	ask      func(rules, n int) access.Request // the n-th of endless questions, each about the next subject
}

// shapes in the order in which they are printed. Of the questions about half
// are allowed.
var shapes = []shape{
	foreign("rbac", "Casbin's own benchmark: ten users to a role, a permission to a role",
		"", "some(where (p.eft == allow))", "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act",
		func(n int) (lines []access.Rule) {
			for i := range n / 11 {
				role := fmt.Sprint("group", i)
				lines = append(lines, line("p", role, fmt.Sprint("data", i/10), "read"))
				for j := range 10 {
					lines = append(lines, line("g", fmt.Sprint("user", i*10+j), role))
				}
			}
			return lines
		},
		func(n int) int { return n / 11 * 10 },
		func(_, user, n int) []any { return raw("user", user, "data", user/100, n, "read", "write") },
	),
	foreign("acl", "a permission to each user, no roles",
		"", "some(where (p.eft == allow))", "r.sub == p.sub && r.obj == p.obj && r.act == p.act",
		func(n int) (lines []access.Rule) {
			for i := range n {
				lines = append(lines, line("p", fmt.Sprint("user", i), fmt.Sprint("data", i/10), "read"))
			}
			return lines
		},
		func(n int) int { return n },
		func(_, user, n int) []any { return raw("user", user, "data", user/10, n, "read", "write") },
	),
	foreign("rest", "paths by keyMatch and methods by regexMatch, a hundred resources to a service",
		"", "some(where (p.eft == allow))", "r.sub == p.sub && keyMatch(r.obj, p.obj) && regexMatch(r.act, p.act)",
		func(n int) (lines []access.Rule) {
			for i := range n {
				methods := [...]string{"GET", "(GET)|(POST)"}[i%2]
				lines = append(lines, line("p", fmt.Sprint("service", i/100), fmt.Sprintf("/api/v1/resource%d/*", i%100), methods))
			}
			return lines
		},
		func(n int) int { return n / 100 },
		func(_, service, n int) []any {
			return []any{fmt.Sprint("service", service), fmt.Sprintf("/api/v1/resource%d/17", n*31%100), [...]string{"GET", "DELETE"}[n%2]}
		},
	),
	foreign("priority", "the first rule that matches decides, two rules to each user",
		", eft", "priority(p.eft) || deny", "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act",
		func(n int) (lines []access.Rule) {
			for i := range n {
				lines = append(lines, line("p", fmt.Sprint("user", i/2), fmt.Sprint("data", i/20), "read", [...]string{"allow", "deny"}[i%2]))
			}
			return lines
		},
		func(n int) int { return n / 2 },
		func(_, user, n int) []any { return raw("user", user, "data", user/10, n, "read", "write") },
	),
	{
		name: "own", about: "our own model: roles of 20 grants over four kinds of scope, users with twelve roles by three groups",
		facts:    placed(oracle.Sample),
		subjects: func(n int) int { return max(10, n/880) }, // as Sample has them
		ask:      oracle.SampleRequest,
	},
}

const foreignModel = `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act%s
[role_definition]
g = _, _
[policy_effect]
e = %s
[matchers]
m = %s
`

// foreign makes a shape of a Casbin model.
func foreign(name, about, fields, effect, matcher string,
	lines func(int) []access.Rule, subjects func(int) int, ask func(rules, subject, n int) []any,
) shape {
	return shape{
		name: name, about: about, subjects: subjects,
		facts: placed(func(rules int) access.Facts {
			return access.Facts{Revision: 1, Model: fmt.Sprintf(foreignModel, fields, effect, matcher), Rules: lines(rules)}
		}),
		ask: func(rules, n int) access.Request {
			return access.Request{Raw: ask(rules, n*stride%subjects(rules), n)}
		},
	}
}

// stride spreads questions over all subjects: it is prime, and no number of
// subjects is a multiple of it.
const stride = 7919

func line(kind string, values ...string) access.Rule { return access.Rule{Type: kind, Values: values} }

// raw asks in turns for what is allowed and for what is not.
func raw(subject string, i int, object string, j, n int, allowed, denied string) []any {
	return []any{fmt.Sprint(subject, i), fmt.Sprint(object, j), [...]string{allowed, denied}[n%2]}
}

// gap is between the places of rules, as the store leaves it.
const gap = 1 << 36

// placed gives facts the one tenant of all shapes, and numbers the rules as the
// store does.
func placed(facts func(int) access.Facts) func(int) access.Facts {
	return func(rules int) access.Facts {
		f := facts(rules)
		f.Tenant = access.DefaultTenant
		for i := range f.Rules {
			f.Rules[i].Place = int64(i+1) * gap
		}
		return f
	}
}
