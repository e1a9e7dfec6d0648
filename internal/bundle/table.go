package bundle

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// combination is one square of a table.
type combination struct{ subject, section, action, scope string }

func (c combination) String() string {
	text := fmt.Sprintf("%s %s %s", c.subject, c.action, c.section)
	if c.scope != string(access.Everywhere) {
		text += " at " + c.scope
	}
	return text
}

// table turns a table into one question for each of its combinations.
func (t *tester) table(e *tableEntry) []Question {
	if t.policy.Model != "" {
		t.add(e.Origin, "test-foreign", "the bundle has a model of its own, which is asked by request alone")
		return nil
	}
	if e.Subjects == nil || e.Sections == nil || e.Actions == nil {
		return nil // reported by the decoder
	}
	if e.Scopes == nil {
		e.Scopes = []word{{string(access.Everywhere), e.Origin}}
	}
	before := len(t.problems)
	t.tableNames(e)
	size := len(e.Subjects) * len(e.Sections) * len(e.Actions) * len(e.Scopes)
	if len(t.problems) > before || !t.room(e.Origin, size) {
		return nil
	}
	listed := map[combination]Question{}
	for i := range e.Allow {
		t.cell(e, &e.Allow[i], true, listed)
	}
	for i := range e.Deny {
		t.cell(e, &e.Deny[i], false, listed)
	}
	return t.questions(e, listed)
}

func (t *tester) tableNames(e *tableEntry) {
	for _, axis := range []struct {
		name  string
		words []word
	}{{"subjects", e.Subjects}, {"sections", e.Sections}, {"actions", e.Actions}, {"scopes", e.Scopes}} {
		t.axis(e, axis.name, axis.words)
	}
	for _, w := range e.Subjects {
		t.subject(w, "")
	}
	for _, w := range e.Sections {
		t.section(w, "")
		for _, a := range e.Actions {
			t.action(a, access.Section(w.text), "")
		}
	}
	for _, w := range e.Scopes {
		t.scope(w, "")
	}
}

func (t *tester) axis(e *tableEntry, name string, words []word) {
	if len(words) == 0 {
		t.add(e.Origin, "test-empty", "%s is empty, so the table could never fail", name)
	}
	for i, w := range words {
		if slices.ContainsFunc(words[:i], func(o word) bool { return o.text == w.text }) {
			t.add(w.at, "value-duplicate", "%s: %q is there twice", name, w.text)
		}
	}
}

// cell notes the expected answer of every combination that a cell stands for.
func (t *tester) cell(e *tableEntry, c *cellEntry, allow bool, listed map[combination]Question) {
	q := Question{Allow: allow, Origin: c.Origin}
	t.expect(&q, c.answer)
	subjects := t.pick("subject", e.Subjects, c.Subject)
	sections := t.pick("section", e.Sections, c.Section)
	actions := t.pick("action", e.Actions, c.Actions...)
	scopes := t.pick("scope", e.Scopes, c.Scope)
	for at := range combinations(subjects, sections, actions, scopes) {
		if twin, twice := listed[at]; twice {
			t.add(c.Origin, "test-contradiction", "%s is listed twice", at).Hint = "first at " + twin.Origin.String()
			return
		}
		listed[at] = q
	}
}

// pick gives the named words of an axis, or all of it where none is named.
func (t *tester) pick(noun string, axis []word, named ...word) []word {
	var picked []word
	var names []string
	for _, w := range axis {
		names = append(names, w.text)
	}
	for _, w := range named {
		switch {
		case w.text == "": // left out
		case slices.Contains(names, w.text):
			picked = append(picked, w)
		default:
			t.add(w.at, noun+"-unknown", "%s %q is not in the table", noun, w.text).Hint = nearHint(w.text, names)
			picked = append(picked, w)
		}
	}
	if picked == nil {
		return axis
	}
	return picked
}

func nearHint(name string, known []string) string {
	if near := access.Nearest(name, known); near != "" {
		return didYouMean(near)
	}
	return ""
}

// combinations yields every square, scopes changing fastest.
func combinations(subjects, sections, actions, scopes []word) func(func(combination) bool) {
	return func(yield func(combination) bool) {
		for _, subject := range subjects {
			for _, section := range sections {
				for _, action := range actions {
					for _, scope := range scopes {
						if !yield(combination{subject.text, section.text, action.text, scope.text}) {
							return
						}
					}
				}
			}
		}
	}
}

// questions gives the table's questions in its own order. What is not listed is
// expected to be denied, where the table says so.
func (t *tester) questions(e *tableEntry, listed map[combination]Question) []Question {
	var all []Question
	var missing []combination
	for at := range combinations(e.Subjects, e.Sections, e.Actions, e.Scopes) {
		q, ok := listed[at]
		if !ok {
			missing = append(missing, at)
			q.Origin = e.Origin
		}
		q.Request = at.request()
		all = append(all, q)
	}
	if len(missing) > 0 && e.Unlisted == "" {
		t.add(e.Origin, "test-unlisted", "%d combinations are not listed, the first is %s", len(missing), missing[0]).
			Hint = "list them or write unlisted: deny"
	}
	return all
}

func (c combination) request() access.Request {
	subject, _ := access.ParseSubject("subject", c.subject) // checked by tableNames
	return access.Request{
		Subject: subject, Actions: []access.Action{access.Action(c.action)},
		Section: access.Section(c.section), Scope: access.Scope(cmp.Or(c.scope, string(access.Everywhere))),
	}
}
