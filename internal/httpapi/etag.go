package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// The tag of one thing has two parts: "stamp.view". The stamp is a hash of what
// can be changed about the thing, as it goes over the wire; the view is one of
// the whole answer but the number of the revision, with what lists say of the
// thing: how many members a group has, for instance. Whoever has the answer
// already is told so by the whole tag; a change is refused by the stamp alone.
// So an edit of something else, also of another thing's link to this one, leaves
// the change of this one alone. The tag of a list is a view.

// errPrecondition: the thing is not what the client has seen.
var errPrecondition = fmt.Errorf("precondition failed: %w", access.ErrStale)

// thingPath is where the paths of one kind of thing begin.
type thingPath struct {
	prefix, kind, param string
}

// thingPaths are looked through in order. What lies below a thing's path is
// about the thing.
var thingPaths = []thingPath{
	{onePath + "/password", "", ""}, // these are no part of what an account shows
	{onePath + ":unlock", "", ""},
	{onePath + "/second-factor", "", ""},
	{onePath + "/sessions", "", ""},
	{groupPath + "/{code}/members/{user}", "user", "user"},
	{groupPath + "/{code}/users/{id}", "user", "id"},
	{groupPath + "/{code}", "group", "code"},
	{rolePath + "/{code}", "role", "code"},
	{onePath, "user", "id"},
	{applicationPath + "/{application}", "application", "application"},
	{scopePath + "/{scope}", "scope", "scope"},
	{licencePath + "/{feature}", "licence", "feature"},
	{settingsPath, "settings", ""},
}

// thing gives the kind and the path parameter of the one thing that a route is
// about; empty where it is about several.
func (r *route) thing() (kind, param string) {
	for _, p := range thingPaths {
		if strings.HasPrefix(r.path, p.prefix) {
			return p.kind, p.param
		}
	}
	return "", ""
}

// matched reads If-Match: the tags of which the thing must have one.
func (c *call) matched() error {
	headers := c.g.Request.Header["If-Match"]
	if len(headers) == 0 || !c.route.change {
		return nil
	}
	kind, param := c.route.thing()
	if kind == "" {
		return access.Invalid("If-Match", "is not for this path, which is about no single thing; use base_revision")
	}
	tags := strongIn(headers)
	if len(tags) == 0 {
		return access.Invalid("If-Match", "is no list of strong entity tags")
	}
	c.match = &access.Match{Kind: kind, Code: c.g.Param(param), Judge: func(thing any) error { return c.judge(kind, thing, tags) }}
	return nil
}

// judge refuses a change of a thing that has none of the tags any more, and
// leaves the one that it has for the answer.
func (c *call) judge(kind string, thing any, tags []string) error {
	c.etag = ""
	if thing == nil {
		return &access.Error{Kind: errPrecondition, Field: "If-Match", Message: "there is no such " + kind}
	}
	now := stampOf(c.fieldsOf(c.wireOf(thing)))
	for _, tag := range tags {
		if stamp, _, _ := strings.Cut(tag, "."); stamp == now || tag == "*" {
			return nil
		}
	}
	c.etag = now
	return &access.Error{Kind: errPrecondition, Field: "If-Match", Message: "the " + kind + ` has changed since it was read; its tag is "` + now + `" now`}
}

// wireOf gives a thing as answers show it.
func (c *call) wireOf(thing any) any {
	switch x := thing.(type) {
	case access.Group:
		return groupOf(&service.GroupEntry{Group: x}, 0)
	case access.Role:
		return roleOf(&service.RoleEntry{Role: x}, 0)
	case access.User:
		return c.wireUser(&x)
	case access.Application:
		return applicationOf(&x)
	case access.ScopeNode:
		return nodeOf(x, 0)
	case service.Settings:
		return settingsOf(&x)
	case access.Licence:
		return licenceOf(service.LicenceEntry{Licence: x})
	}
	return nil
}

// fieldsOf gives what can be changed about a thing, and its name; nil for
// answers that are about no single thing.
func (c *call) fieldsOf(w any) any {
	var fields any
	switch x := w.(type) {
	case api.Group:
		fields = []any{"group", x.Code, x.GroupFields}
	case api.Role:
		fields = []any{"role", x.Code, x.RoleFields}
	case api.User:
		fields = []any{"user", x.ID, x.Status, x.UserFields}
	case api.Application:
		fields = []any{"application", x.Code, x.CatalogueFields, x.Roles, x.Grants}
	case api.ScopeNode:
		fields = []any{"scope", x.Scope, x.Parent, x.Name}
	case api.CreatedScope:
		return c.fieldsOf(x.ScopeNode)
	case api.Settings:
		fields = []any{"settings", x.SettingsFields}
	case api.Licence:
		fields = []any{"licence", x.Feature, x.Seats}
	default:
		return nil
	}
	return []any{c.tenant, fields}
}

// stampOf is a hash of anything that JSON can hold.
func stampOf(v any) string {
	text, _ := marshal(v) // what is served can be marshalled
	return digest(text)
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// tags tells whether good answers of a route carry a tag: all of administration
// that can be read or is one thing. A report tells the moment at which it was made.
func (r *route) tags() bool {
	return r.closedQuery() && r.answer != nil && !strings.Contains(r.path, "/reports/")
}

// tagOf gives the tag of an answer; empty where it has none.
func (c *call) tagOf(v any) string {
	fields := c.fieldsOf(v)
	if !c.route.tags() || fields == nil && c.route.method != http.MethodGet {
		return ""
	}
	view := stampOf(timeless(v))
	if fields == nil {
		return view
	}
	return stampOf(fields) + "." + view
}

// timeless leaves out the number of the revision that an answer was read at.
func timeless(v any) any {
	is := reflect.ValueOf(v)
	if is.Kind() != reflect.Struct || !is.FieldByName("Revision").IsValid() {
		return v
	}
	without := reflect.New(is.Type()).Elem()
	without.Set(is)
	without.FieldByName("Revision").SetZero()
	return without.Interface()
}

// known tells whether the client has what has this tag.
func (c *call) known(tag string) bool {
	tags := tagsIn(c.g.Request.Header["If-None-Match"])
	return c.route.method == http.MethodGet && (slices.Contains(tags, tag) || slices.Contains(tags, "*"))
}

// tagsIn gives the tags of a list of entity tags, strong or weak.
func tagsIn(headers []string) []string {
	var all []string
	for _, h := range headers {
		for part := range strings.SplitSeq(h, ",") {
			part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
			if tag, ok := strings.CutPrefix(part, `"`); ok {
				all = append(all, strings.TrimSuffix(tag, `"`))
			} else if part == "*" {
				all = append(all, part)
			}
		}
	}
	return all
}

// strongIn is tagsIn without weak ones, which never match a change.
func strongIn(headers []string) []string {
	var strong []string
	for _, h := range headers {
		for part := range strings.SplitSeq(h, ",") {
			if !strings.HasPrefix(strings.TrimSpace(part), "W/") {
				strong = append(strong, part)
			}
		}
	}
	return tagsIn(strong)
}

// headerKeep lets one client keep an answer that it asks about again.
var headerKeep = []string{"private, no-cache"}

// tell puts a tag into the head of an answer, for the client to keep.
func (c *call) tell(tag string) {
	h := c.g.Writer.Header()
	h["Etag"] = []string{`"` + tag + `"`}
	if c.route.method == http.MethodGet {
		h["Cache-Control"] = headerKeep
	}
}

// reply sends an answer of package api, or says that the client has it.
func (c *call) reply(status int, v any) error {
	if tag := c.tagOf(v); tag != "" {
		c.tell(tag)
		if c.known(tag) {
			c.write(http.StatusNotModified, nil)
			return nil
		}
	}
	body, err := marshal(v)
	if err != nil {
		return err
	}
	return c.answer(status, body)
}
