package httpapi

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// param is one parameter of a query. It stands beside its route: what is
// described is what is read, and nothing else is let in.
type param struct {
	name     string
	kind     paramKind
	oneOf    []string // the closed list of a word; any text when empty
	min, max int      // of a number; max also bounds the bytes of a text, maxIDBytes when 0
	text     string   // for people
}

type paramKind int

const (
	wordParam   paramKind = iota // some text, or one of a list
	numberParam                  // a whole number
	flagParam                    // true or false
	momentParam                  // a moment by RFC 3339
	stateParam                   // the number of a revision, or a moment
)

// What is the same wherever it is.
var (
	qParam          = param{name: "q", text: "Only what holds this text, in any case of letters."}
	pageSizeParam   = param{name: "page_size", kind: numberParam, min: 1, max: service.MaxPage, text: "How many at most; " + itoa(service.DefaultPage) + " when left out."}
	pageTokenParam  = param{name: "page_token", max: 4096, text: "The next_page_token of the page before, with the same query."}
	reasonParam     = param{name: "reason", max: maxDescription, text: "Why, for the history."}
	baseParam       = param{name: "base_revision", kind: numberParam, max: 1 << 53, text: "The revision that the change was made for; 409 when the tenant has moved on."}
	moveToParam     = param{name: "move_to", text: "Code of the group that those come to be in who would be in none."}
	languageParam   = param{name: "lang", text: "A language, for instance en or pt-BR: labels are in it where there are such names."}
	pageParams      = []param{pageSizeParam, pageTokenParam}
	editParams      = []param{reasonParam, baseParam}
	catalogueParams = []param{
		{name: "remove_grants", kind: flagParam, text: "Take away the rights that name what goes, by the same revision."},
		{name: "dry_run", kind: flagParam, text: "Change nothing, and tell what would be."},
	}
)

// sortParam declares the closed list of what a list can be sorted by.
func sortParam(usual string, columns ...string) param {
	p := param{name: "sort", text: "What the list is sorted by, with - before it for the reverse; " + usual + " when left out."}
	for _, column := range columns {
		p.oneOf = append(p.oneOf, column, "-"+column)
	}
	return p
}

// closedQuery tells whether parameters that are not declared are refused: they
// are where lists and changes are made, since a filter that is misspelt would
// show everything.
func (r *route) closedQuery() bool { return r.need != "" && !r.everyTenant && !r.authzen }

// readQuery takes in the query by what the route declares.
func (c *call) readQuery() error {
	if !c.route.closedQuery() || c.g.Request.URL.RawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(c.g.Request.URL.RawQuery)
	if err != nil {
		return access.Invalid("query", "cannot be read: %s", err.Error())
	}
	c.query = make(map[string]string, len(values))
	for name, all := range values {
		p, err := c.route.param(name)
		if err == nil && len(all) > 1 {
			err = access.Invalid(name, "is there twice")
		}
		if err == nil {
			err = p.check(all[0])
		}
		if err != nil {
			return err
		}
		c.query[name] = all[0]
	}
	return nil
}

// param gives the parameter of a name.
func (r *route) param(name string) (*param, error) {
	known := make([]string, len(r.query))
	for i := range r.query {
		if known[i] = r.query[i].name; known[i] == name {
			return &r.query[i], nil
		}
	}
	message := "is not a query parameter that is known here"
	if near := access.Nearest(name, known); near != "" {
		message += "; did you mean " + near + "?"
	}
	return nil, access.Invalid(name, "%s", message)
}

// check refuses what the parameter cannot be.
func (p *param) check(value string) error {
	switch p.kind {
	case numberParam:
		if n, err := strconv.Atoi(value); err != nil || n < p.min || n > p.max {
			return access.Invalid(p.name, "must be a number from %d to %d", p.min, p.max)
		}
	case flagParam:
		if value != "true" && value != "false" {
			return access.Invalid(p.name, "must be true or false")
		}
	case momentParam:
		_, err := access.ParseMoment(p.name, value)
		return err
	case stateParam:
		_, err := access.ParseAsOf(p.name, value)
		return err
	default:
		return p.checkWord(value)
	}
	return nil
}

func (p *param) checkWord(value string) error {
	limit := p.max
	if limit == 0 {
		limit = maxIDBytes
	}
	switch {
	case len(value) > limit:
		return access.Invalid(p.name, "is %d bytes long; %d is the limit", len(value), limit)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return access.Invalid(p.name, "holds a character that is no text")
	case len(p.oneOf) > 0 && !slices.Contains(p.oneOf, value):
		return access.Invalid(p.name, "%q is none of %s", value, strings.Join(p.oneOf, ", "))
	}
	return nil
}

// The values of declared parameters; what was left out is zero.

func (c *call) word(name string) string { return c.query[name] }

func (c *call) number(name string) int {
	n, _ := strconv.Atoi(c.query[name]) // checked by readQuery
	return n
}

// flag gives nil where a parameter was left out.
func (c *call) flag(name string) *bool {
	if text, there := c.query[name]; there {
		return new(text == "true")
	}
	return nil
}

func (c *call) moment(name string) time.Time {
	at, _ := access.ParseMoment(name, c.query[name]) // checked by readQuery
	return at
}

// state is the state that a parameter names; what is in force when it is left out.
func (c *call) state(name string) access.AsOf {
	of, _ := access.ParseAsOf(name, c.query[name]) // checked by readQuery
	return of
}

// page is the part of a list that is asked for.
func (c *call) page() service.Page {
	return service.Page{Size: cmp.Or(c.number("page_size"), service.DefaultPage), Token: c.word("page_token")}
}
