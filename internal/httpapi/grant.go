package httpapi

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// What the bodies of changes have in common: the change itself, rights and links.

const (
	maxGrants    = 1000 // rights or links in one list
	maxSignature = 64 << 10
	maxCondition = 4 << 10
)

var (
	editMembers = []string{"base_revision", "reason"}
	grantNames  = names{known: []string{"section", "name", "rights", "crud", "scope", "effect", "condition", "from", "until"}, closed: true}
	linkNames   = names{known: []string{"role", "scope", "from", "until"}, closed: true}
)

// edit reads a member that every change may have.
func (r *reader) edit(name string, to *api.Edit) error {
	if name == "reason" {
		return r.prose(name, &to.Reason)
	}
	var n int64
	err := r.integer(name, &n)
	if n < 0 {
		r.note(access.Invalid(name, "must not be negative"))
	}
	to.BaseRevision = uint64(max(n, 0))
	return err
}

func (c *call) changeOf(e api.Edit) access.Change {
	return access.Change{Base: access.Revision(e.BaseRevision), Reason: e.Reason, Source: source, Match: c.match, Once: c.atMostOnce(), Rehearse: c.rehearsing()}
}

// changeAsked is the change that the query of a DELETE describes.
func (c *call) changeAsked() access.Change {
	return c.changeOf(api.Edit{BaseRevision: uint64(c.number("base_revision")), Reason: c.word("reason")}) //nolint:gosec // it is not negative
}

// null reads past a null, which makes something empty.
func (r *reader) null() bool {
	if r.dec.PeekKind() != 'n' {
		return false
	}
	_, err := r.dec.ReadToken()
	return err == nil
}

// term reads from or until.
func (r *reader) moment(field string, to *time.Time) error {
	var text string
	if err := r.text(field, &text); err != nil || text == "" {
		return err
	}
	at, err := access.ParseMoment(field, text)
	if err != nil {
		r.note(err)
	}
	*to = at
	return nil
}

// links reads a list of roles.
func (r *reader) links(field string, to *[]access.Link) error {
	*to = []access.Link{}
	return r.listUpTo(field, maxGrants, func(i int) error {
		at := fmt.Sprintf("%s[%d].", field, i)
		var l access.Link
		err := r.object(at[:len(at)-1], &linkNames, func(name string) error {
			switch name {
			case "role":
				return r.text(at+name, &l.To)
			case "scope":
				return r.text(at+name, (*string)(&l.Scope))
			case "from":
				return r.moment(at+name, &l.Validity.From)
			}
			return r.moment(at+name, &l.Validity.Until)
		})
		if l.To == "" {
			r.note(access.Invalid(at+"role", "is required"))
		}
		*to = append(*to, l)
		return err
	})
}

// grants reads a list of rights.
func (r *reader) grants(field string, to *[]access.Grant) error {
	*to = []access.Grant{}
	return r.listUpTo(field, maxGrants, func(i int) error {
		g, err := r.grant(fmt.Sprintf("%s[%d]", field, i))
		*to = append(*to, g)
		return err
	})
}

func (r *reader) grant(at string) (access.Grant, error) {
	var w api.Right
	given := map[string]bool{}
	err := r.object(at, &grantNames, func(name string) error {
		given[name] = true
		return r.grantMember(at+"."+name, name, &w)
	})
	if err != nil || r.wrong != nil {
		return access.Grant{}, err
	}
	g, err := rightOf(at, &w, given)
	if err != nil {
		r.note(err)
	}
	return g, nil
}

func (r *reader) grantMember(field, name string, w *api.Right) error {
	switch name {
	case "section", "name":
		return r.text(field, &w.Section)
	case "rights":
		return r.list(field, func(int) error {
			var name string
			err := r.text(field, &name)
			w.Rights = append(w.Rights, name)
			return err
		})
	case "crud":
		var n int64
		err := r.integer(field, &n)
		if _, wrong := access.RightsOf(field, n); wrong != nil {
			r.note(wrong)
			return err
		}
		w.Crud = int(n)
		return err
	case "scope":
		return r.text(field, &w.Scope)
	case "effect":
		return r.text(field, &w.Effect)
	case "condition":
		return r.textUpTo(field, maxCondition, &w.Condition)
	case "from":
		return r.moment(field, &w.From)
	}
	return r.moment(field, &w.Until)
}

// rightOf turns a right from its wire form into ours.
func rightOf(at string, w *api.Right, given map[string]bool) (access.Grant, error) {
	g := access.Grant{
		Section: access.Section(w.Section), Scope: access.Scope(w.Scope), Effect: access.Effect(w.Effect), Condition: w.Condition,
		Validity: access.Validity{From: w.From, Until: w.Until},
	}
	if g.Effect == access.Allow {
		g.Effect = "" // written in one way, so that the same again changes nothing
	}
	if g.Scope == access.Everywhere {
		g.Scope = ""
	}
	for _, name := range w.Rights {
		if right, standard := access.RightOf(name); standard {
			g.Rights |= right
		} else if !slices.Contains(g.Actions, name) {
			g.Actions = append(g.Actions, name)
		}
	}
	switch {
	case w.Section == "" || given["section"] && given["name"]:
		return g, access.Invalid(at+".section", "is required, once")
	case !given["rights"] && !given["crud"]:
		return g, access.Invalid(at+".rights", "is required, or crud")
	case !given["rights"]:
		g.Rights = access.Rights(w.Crud) //nolint:gosec // 0 to 63
	case given["crud"] && access.Rights(w.Crud) != g.Rights: //nolint:gosec // 0 to 63
		return g, access.Invalid(at+".crud", "is %d, and the names in rights make %d", w.Crud, g.Rights)
	}
	return g, nil
}

func rightsOf(grants []access.Grant) []api.Right {
	var all []api.Right
	for _, g := range grants {
		all = append(all, wireRight(&g))
	}
	return all
}

func wireRight(g *access.Grant) api.Right {
	return api.Right{
		Section: string(g.Section), Rights: append(g.Rights.Names(), g.Actions...), Crud: int(g.Rights),
		Scope: narrow(g.Scope), Effect: string(cmp.Or(g.Effect, access.Allow)), Condition: g.Condition, Term: termOf(g.Validity),
	}
}

// narrow leaves out what means everywhere.
func narrow(s access.Scope) string {
	if s == access.Everywhere {
		return ""
	}
	return string(s)
}

func termOf(v access.Validity) api.Term { return api.Term{From: utc(v.From), Until: utc(v.Until)} }

func roleLinksOf(links []access.Link) []api.RoleLink {
	var all []api.RoleLink
	for _, l := range links {
		all = append(all, api.RoleLink{Role: l.To, Scope: narrow(l.Scope), Term: termOf(l.Validity)})
	}
	return all
}
