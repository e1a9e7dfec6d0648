package httpapi

import (
	"fmt"
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

var rightsMatrixRoutes = []route{{
	method: http.MethodPost, path: "/v1/matrix", everyTenant: true, need: access.KeyRead,
	serve: (*call).rightsMatrix, tag: "Decisions", summary: "Lay out what groups, users or applications may do",
	text: "Every section and scope, with everything that decides. Conditions are not evaluated, but named. " + searchText,
	body: api.MatrixAsked{}, answer: api.Matrix{},
}}

var rightsMatrixNames = names{known: []string{"holders", "type", "scope", "section", "at_least", "fully_consistent", "as_of"}, closed: true}

// holderKinds are the types of holders that can be asked for.
var holderKinds = map[string]access.Kind{"": 0, "group": access.KindGroup, "user": access.KindUser, "app": access.KindApplication}

func (c *call) rightsMatrix() error {
	var q access.MatrixQuery
	var consistency api.Consistency
	err := c.read(func(r *reader) error {
		return r.object("", &rightsMatrixNames, func(name string) error { return r.matrixMember(name, &q, &consistency) })
	})
	if err != nil {
		return err
	}
	want, done, err := c.admit(searches, consistency)
	if err != nil {
		return err
	}
	defer done()
	m, err := c.api.o.Decisions.Matrix(c.ctx(), c.caller, c.tenant, q, want)
	if err != nil {
		return err
	}
	return c.told(rightsMatrixOf(c.tenant, &m))
}

func (r *reader) matrixMember(name string, q *access.MatrixQuery, consistency *api.Consistency) error {
	var text string
	switch name {
	case "holders":
		return r.list(name, func(i int) error {
			var holder string
			err := r.text(fmt.Sprintf("holders[%d]", i), &holder)
			q.Holders = append(q.Holders, holder)
			return err
		})
	case "type":
		err := r.text(name, &text)
		kind, known := holderKinds[text]
		if !known {
			r.note(access.Invalid(name, "%q is none of group, user, app", text))
		}
		q.Kind = kind
		return err
	case "scope":
		err := r.text(name, &text)
		q.Scope = access.Scope(text)
		return err
	case "section":
		err := r.text(name, &text)
		q.Section = access.Section(text)
		return err
	}
	return r.consistencyMember(name, consistency)
}

func rightsMatrixOf(tenant string, m *access.Matrix) api.Matrix {
	w := api.Matrix{Tenant: tenant, Revision: uint64(m.Revision), Rows: make([]api.MatrixRow, len(m.Rows)), Conditions: m.Conditions}
	for i, row := range m.Rows {
		w.Rows[i] = api.MatrixRow{Holder: row.Holder, Scope: string(row.Scope), Section: string(row.Section), Actions: namesOf(row.Actions)}
		for _, x := range row.If {
			w.Rows[i].If = append(w.Rows[i].If, api.ConditionalRight{Action: string(x.Action), When: x.Hold.When, Unless: x.Hold.Unless})
		}
	}
	return w
}
