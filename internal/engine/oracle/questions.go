package oracle

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2/model"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Questions gives n questions about facts, the same every time: about names that
// occur in them, now and then one that does not.
func Questions(f access.Facts, n int) []access.Request {
	d := dice{rand.New(rand.NewPCG(1, 2))} //nolint:gosec // the same every time is what is wanted
	questions := make([]access.Request, n)
	if f.Ours() {
		names := namesOf(&f)
		for i := range questions {
			questions[i] = names.question(d)
		}
		return questions
	}
	values := valuesOf(&f)
	for i := range questions {
		questions[i] = values.question(d)
	}
	return questions
}

type dice struct{ *rand.Rand }

// one gives one of several; the unknown one where there is none, or by chance.
func one[T any](d dice, from []T, unknown T) T {
	if len(from) == 0 || d.IntN(50) == 0 {
		return unknown
	}
	return from[d.IntN(len(from))]
}

// names are what a question to the built-in model can be about.
type names struct {
	subjects []access.Subject
	sections []access.Section
	scopes   []access.Scope
	actions  []access.Action
}

func namesOf(f *access.Facts) names {
	n := names{subjects: []access.Subject{access.Anonymous}, scopes: []access.Scope{access.Everywhere}}
	for _, u := range f.Users {
		n.subjects = append(n.subjects, access.Subject{Kind: access.KindUser, ID: u.ID})
	}
	for _, a := range f.Catalogue {
		n.subjects = append(n.subjects, access.Subject{Kind: access.KindApplication, ID: a.Code})
		for _, s := range a.Sections {
			n.sections = append(n.sections, s.Path)
			for _, declared := range s.Actions {
				n.actions = append(n.actions, access.Action(declared.Name))
			}
		}
	}
	for _, s := range f.Scopes {
		n.scopes = append(n.scopes, s.Scope)
	}
	if len(n.actions) > 5 {
		n.actions = n.actions[:5] // the rights are asked about as often
	}
	for _, right := range access.RightNames()[1:] { // inherit cannot be asked about
		n.actions = append(n.actions, access.Action(right))
	}
	return n
}

func (n *names) question(d dice) access.Request {
	return access.Request{
		Subject: one(d, n.subjects, access.Subject{Kind: access.KindUser, ID: "nobody"}),
		Actions: []access.Action{one(d, n.actions, "show")},
		Section: one(d, n.sections, "Nowhere"), Scope: one(d, n.scopes, "nowhere:1"),
	}
}

// values are what stands in rules, by set and by the place in a question where
// it may be asked about.
type values struct {
	sets   []string
	places map[string][][]string
}

// valuesOf looks for values in the rules' fields of the same name as the
// question's, and for who is linked.
func valuesOf(f *access.Facts) values {
	v := values{places: map[string][][]string{}}
	m, err := model.NewModelFromString(f.Model)
	if err != nil {
		return v // whoever compiles the facts says so
	}
	for _, key := range slices.Sorted(maps.Keys(m["m"])) {
		set := strings.TrimPrefix(key, "m")
		def := definition(m, set)
		v.sets = append(v.sets, set)
		for _, token := range def("r").Tokens {
			field := strings.TrimPrefix(token, def("r").Key+"_")
			v.places[set] = append(v.places[set], standing(f, def("p"), field))
		}
	}
	return v
}

func standing(f *access.Facts, p *model.Assertion, field string) []string {
	var all []string
	for _, r := range f.Rules {
		if r.Type == p.Key {
			for i, token := range p.Tokens {
				if token == p.Key+"_"+field && i < len(r.Values) {
					all = append(all, r.Values[i])
				}
			}
		}
		if field == "sub" && strings.HasPrefix(r.Type, "g") {
			all = append(all, r.Values[0])
		}
	}
	return all
}

func (v *values) question(d dice) access.Request {
	r := access.Request{Raw: []any{}, RawSet: one(d, v.sets, "")}
	for _, from := range v.places[r.RawSet] {
		r.Raw = append(r.Raw, one(d, from, "nothing"))
	}
	return r
}
