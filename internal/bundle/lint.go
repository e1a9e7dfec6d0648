package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Lint reads a bundle and gives everything there is to say about it, errors and
// warnings, sorted by file and line. The bundle is nil where there are errors.
// The error means that fsys cannot be read.
//
// The warnings that Lint adds to those of Read concern what is of no use as far
// as the bundle tells: accounts that it does not deliver are not looked at.
func Lint(fsys fs.FS, o Options) (*Bundle, access.Problems, error) {
	b, err := Read(fsys, o)
	var problems access.Problems
	if errors.As(err, &problems) {
		return nil, problems, nil
	}
	if err != nil {
		return nil, nil, err
	}
	l := &linter{policy: &b.Policy, used: map[string]bool{}}
	l.uses(b)
	l.rolesAndGroups()
	l.users()
	l.emptyGrants()
	problems = slices.Concat(b.Warnings, l.problems)
	sortProblems(problems)
	return b, problems, nil
}

type linter struct {
	policy   *access.Policy
	used     map[string]bool // names in rules that something leads to
	problems access.Problems
}

func (l *linter) warn(at access.Origin, code, format string, args ...any) {
	l.problems = append(l.problems, access.Problem{
		Origin: at, Code: code, Message: fmt.Sprintf(format, args...), Warning: true,
	})
}

// uses notes every group and role that a membership leads to, in the suites too.
func (l *linter) uses(b *Bundle) {
	var subjects []access.User
	for _, s := range b.Tests {
		subjects = append(subjects, s.Subjects...)
	}
	facts := WithSubjects(l.policy, subjects).Facts()
	for _, r := range facts.Rules {
		if r.Type == "g" && len(r.Values) > 1 {
			l.used[r.Values[1]] = true
		}
	}
	for _, g := range l.policy.Groups { // a group whose ceiling is none has no rules
		l.used[access.Name(access.KindGroup, g.Base)] = true
		for _, role := range g.Roles {
			l.used[access.Name(access.KindRole, role.To)] = true
		}
	}
}

// rolesAndGroups: where the bundle delivers no accounts at all, its groups wait
// for those kept elsewhere. A template only ever serves the groups of the bundle.
func (l *linter) rolesAndGroups() {
	for _, r := range l.policy.Roles {
		if !l.used[access.Name(access.KindRole, r.Code)] {
			l.warn(r.Origin, "role-unused", "nothing here has the role %q", r.Code)
		}
	}
	for _, g := range l.policy.Groups {
		used := l.used[access.Name(access.KindGroup, g.Code)]
		if !used && (g.Kind == access.GroupTemplate || len(l.policy.Users) > 0 && g.Kind != access.GroupDefault) {
			l.warn(g.Origin, "group-unused", "nobody here is in the group %q and no group is based on it", g.Code)
		}
	}
}

func (l *linter) users() {
	templates := map[string]bool{}
	for _, g := range l.policy.Groups {
		templates[g.Code] = g.Kind == access.GroupTemplate
	}
	for _, u := range l.policy.Users {
		var in []string
		for _, link := range u.Groups {
			in = append(in, link.To)
		}
		if len(in) > 0 && !slices.ContainsFunc(in, func(code string) bool { return !templates[code] }) {
			l.warn(u.Origin, "template-only", "user %q is in template groups only (%s) and is therefore denied everything",
				u.ID, strings.Join(in, ", "))
		}
	}
}

func (l *linter) emptyGrants() {
	check := func(grants []access.Grant) {
		for _, g := range grants {
			if g.Rights&^access.Inherit == 0 && len(g.Actions) == 0 {
				l.warn(g.Origin, "grant-empty", "the grant on %q grants nothing", g.Section)
			}
		}
	}
	for _, a := range l.policy.Catalogue {
		check(a.Grants)
	}
	for _, r := range l.policy.Roles {
		check(r.Grants)
	}
	for _, g := range l.policy.Groups {
		check(g.Grants)
	}
	for _, u := range l.policy.Users {
		check(u.Grants)
	}
}
