package access

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Verb is what an operation does to something.
type Verb string

// The three verbs.
const (
	Added   Verb = "added"
	Removed Verb = "removed"
	Changed Verb = "changed"
)

// Operation is one difference between two policies, in words.
//
// What belongs to something larger has operations of its own: a new group with
// two grants is three operations. Places in files are no difference, nor is the
// order of what has no meaning in an order.
type Operation struct {
	Verb Verb
	// Kind is what differs: "group", "role", "user", "application", "section",
	// "action", "prerequisite", "grant", "link", "scope", "licence", "rule",
	// "guarantee", "model", or "setting" for what else a policy says.
	Kind string
	// Of is whose it is: a name as in rules, such as "g:sales", or the section of
	// an action or prerequisite. Empty: the policy's own.
	Of string
	// Name tells it from its like: a code, an id, a path, the line of a rule.
	Name string
	// Field is the member that has changed; empty unless the verb is Changed.
	Field string
	// Before and After are its values as text. Of what was added or removed, one
	// of them tells all that is not in the name and not as usual.
	Before, After string
}

// String gives the operation on one line; long values are cut.
func (o Operation) String() string {
	what := strings.TrimSpace(o.Kind + " " + o.Name)
	if o.Of != "" {
		what += " of " + o.Of
	}
	what += " " + string(o.Verb)
	switch {
	case o.Verb == Changed && o.Field == "":
		return what
	case o.Verb == Changed:
		return fmt.Sprintf("%s: %s %s -> %s", what, o.Field, shown(o.Before), shown(o.After))
	case o.Before+o.After != "":
		return what + ": " + Cut(o.Before+o.After, maxShown)
	}
	return what
}

// maxShown is how many bytes of a value are shown on a line.
const maxShown = 200

func shown(value string) string {
	if value == "" || strings.ContainsAny(value, "\n\"") {
		return fmt.Sprintf("%q", Cut(value, maxShown))
	}
	return Cut(value, maxShown)
}

// Cut gives the first bytes of a text that is longer, and says that it was.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// Diff lists what turns one policy into another: in the order of a policy's
// members, and in each list what stays or comes in its new order, then what
// goes. There is none exactly where both say the same; a usual value says the
// same as one that is left out.
func Diff(before, after *Policy) []Operation {
	d := differ{ordered: before.Model != "" || after.Model != ""}
	d.members(Operation{}, "", reflect.ValueOf(*before), reflect.ValueOf(*after))
	return d.all
}

// differ gathers operations. It goes through policies by reflection, so that
// what a policy may hold tomorrow cannot be forgotten here.
type differ struct {
	ordered bool // the order of plain lines decides
	all     []Operation
}

// untold are members that no operation speaks of: where something was written,
// and what the store alone says.
var untold = map[string]bool{"Origin": true, "Origins": true, "Place": true, "CreatedAt": true}

// members compares two structs of one type. at says what they are.
func (d *differ) members(at Operation, prefix string, before, after reflect.Value) {
	t := before.Type()
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && !untold[f.Name] && !nouns[t].names[f.Name] {
			d.member(at, prefix, t, f, before.Field(i), after.Field(i))
		}
	}
}

func (d *differ) member(at Operation, prefix string, owner reflect.Type, f reflect.StructField, before, after reflect.Value) {
	switch {
	case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
		d.list(at, owner, f, before, after)
	case f.Type == reflect.TypeFor[Validity]():
		d.members(at, prefix, before, after)
	case f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[time.Time]():
		d.members(at, prefix+snake(f.Name)+".", before, after)
	default:
		d.value(at, prefix, owner, f, before, after)
	}
}

// value compares what is one value.
func (d *differ) value(at Operation, prefix string, owner reflect.Type, f reflect.StructField, before, after reflect.Value) {
	b, a := usual(owner, f, before), usual(owner, f, after)
	if reflect.DeepEqual(b, a) {
		return
	}
	at.Verb, at.Field, at.Before, at.After = Changed, prefix+snake(f.Name), valueText(b), valueText(a)
	switch {
	case at.Kind == "" && f.Name == "Model":
		at.Kind = "model"
	case at.Kind == "":
		at.Kind = "setting"
	}
	d.all = append(d.all, at)
}

// list pairs the elements of two lists by their names and compares them.
func (d *differ) list(at Operation, owner reflect.Type, f reflect.StructField, before, after reflect.Value) {
	of := at.holder()
	partner, left := paired(f, before, after)
	var kept []int
	for i := range after.Len() {
		element := operationOn(of, f, after.Index(i))
		if partner[i] < 0 {
			d.whole(element, Added, after.Index(i))
			continue
		}
		kept = append(kept, partner[i])
		if b := before.Index(partner[i]); !reflect.DeepEqual(b.Interface(), after.Index(i).Interface()) {
			d.members(element, "", b, after.Index(i))
		}
	}
	for _, i := range left {
		d.whole(operationOn(of, f, before.Index(i)), Removed, before.Index(i))
	}
	if d.orderly(owner, f) && !slices.IsSorted(kept) {
		d.order(of, f, before, kept)
	}
}

// orderly tells whether the order of a list means anything: the first of a
// user's groups gives the signature, and plain lines of a model of one's own
// may be looked at in turn.
func (d *differ) orderly(owner reflect.Type, f reflect.StructField) bool {
	return owner == reflect.TypeFor[User]() && f.Name == "Groups" ||
		f.Type.Elem() == reflect.TypeFor[Rule]() && d.ordered
}

// maxOrder is how many names tell an order.
const maxOrder = 10

// order notes that what stays has changed its order, from the first that did.
func (d *differ) order(of string, f reflect.StructField, before reflect.Value, kept []int) {
	sorted := slices.Sorted(slices.Values(kept))
	first := 0
	for sorted[first] == kept[first] {
		first++
	}
	names := func(which []int) string {
		var all []string
		for _, i := range which[first:min(len(which), first+maxOrder)] {
			all = append(all, operationOn(of, f, before.Index(i)).Name)
		}
		return strings.Join(all, "; ")
	}
	at := operationOn(of, f, before.Index(sorted[first]))
	at.Verb, at.Name, at.Field, at.Before, at.After = Changed, "", "order", names(sorted), names(kept)
	d.all = append(d.all, at)
}

// whole notes that something came or went, and then all that it holds: what
// would have changed if it had been empty.
func (d *differ) whole(at Operation, verb Verb, v reflect.Value) {
	inner := differ{ordered: d.ordered}
	before, after := reflect.Zero(v.Type()), v
	if verb == Removed {
		before, after = v, before
	}
	inner.members(at, "", before, after)
	var own []string
	held := inner.all[:0]
	for _, o := range inner.all {
		if o.Kind == at.Kind && o.Of == at.Of && o.Name == at.Name && o.Verb == Changed {
			value := o.After
			if verb == Removed {
				value = o.Before
			}
			own = append(own, o.Field+" "+shown(value))
			continue
		}
		held = append(held, o)
	}
	at.Verb = verb
	if verb == Added {
		at.After = strings.Join(own, ", ")
	} else {
		at.Before = strings.Join(own, ", ")
	}
	d.all = append(append(d.all, at), held...)
}

// paired gives for each element after the one before with the same name, or -1,
// and those before that have none. Among several of one name, equal ones find
// each other.
func paired(f reflect.StructField, before, after reflect.Value) (partner, left []int) {
	waiting := map[string][]int{}
	for i := range before.Len() {
		name := nameOf(f, before.Index(i))
		waiting[name] = append(waiting[name], i)
	}
	partner = make([]int, after.Len())
	for round := range 2 {
		for i := range partner {
			name := nameOf(f, after.Index(i))
			if round == 0 {
				partner[i] = -1
			}
			if partner[i] >= 0 {
				continue
			}
			at := slices.IndexFunc(waiting[name], func(b int) bool {
				return round == 1 || reflect.DeepEqual(before.Index(b).Interface(), after.Index(i).Interface())
			})
			if at >= 0 {
				partner[i] = waiting[name][at]
				waiting[name] = slices.Delete(waiting[name], at, at+1)
			}
		}
	}
	for _, rest := range waiting {
		left = append(left, rest...)
	}
	slices.Sort(left)
	return partner, left
}

// noun is how elements of a list are called.
type noun struct {
	kind  string
	names map[string]bool                                     // the members that the name tells
	name  func(f reflect.StructField, v reflect.Value) string // nil: the first member
}

// nouns are those types whose kind is not the type's own name, or whose name is
// not their first member.
var nouns = map[reflect.Type]noun{
	reflect.TypeFor[Licence]():      {kind: "licence", names: named("Feature")},
	reflect.TypeFor[Application]():  {kind: "application", names: named("Code")},
	reflect.TypeFor[Role]():         {kind: "role", names: named("Code")},
	reflect.TypeFor[Group]():        {kind: "group", names: named("Code")},
	reflect.TypeFor[User]():         {kind: "user", names: named("ID")},
	reflect.TypeFor[ScopeNode]():    {kind: "scope", names: named("Scope")},
	reflect.TypeFor[SectionEntry](): {kind: "section", names: named("Path")},
	reflect.TypeFor[ActionEntry]():  {kind: "action", names: named("Name")},
	reflect.TypeFor[Prerequisite](): {kind: "prerequisite", names: named("Section")},
	reflect.TypeFor[Link]():         {kind: "link", names: named("To", "Scope"), name: linkName},
	reflect.TypeFor[Grant]():        {kind: "grant", names: named("Section", "Scope", "Effect", "Condition"), name: grantName},
	reflect.TypeFor[Rule]():         {kind: "rule", names: named("Type", "Values"), name: ruleName},
}

func named(members ...string) map[string]bool {
	all := map[string]bool{}
	for _, m := range members {
		all[m] = true
	}
	return all
}

func nounOf(t reflect.Type) noun {
	if n, ok := nouns[t]; ok {
		return n
	}
	return noun{kind: strings.ToLower(t.Name())}
}

func operationOn(of string, f reflect.StructField, v reflect.Value) Operation {
	return Operation{Kind: nounOf(v.Type()).kind, Of: of, Name: nameOf(f, v)}
}

func nameOf(f reflect.StructField, v reflect.Value) string {
	if n := nounOf(v.Type()); n.name != nil {
		return n.name(f, v)
	}
	return v.Field(0).String()
}

// holder is what belongs to an operation's object says that it is of.
func (o Operation) holder() string {
	switch o.Kind {
	case "role":
		return Name(KindRole, o.Name)
	case "group":
		return Name(KindGroup, o.Name)
	case "user":
		return Name(KindUser, o.Name)
	case "application":
		return Name(KindApplication, o.Name)
	}
	return o.Name
}

func linkName(f reflect.StructField, v reflect.Value) string {
	l, kind := v.Interface().(Link), KindRole
	if f.Name == "Groups" {
		kind = KindGroup
	}
	return Name(kind, l.To) + at(l.Scope)
}

func grantName(_ reflect.StructField, v reflect.Value) string {
	g := v.Interface().(Grant)
	name := string(g.Section) + at(g.Scope)
	if g.Effect != "" && g.Effect != Allow {
		name = string(g.Effect) + " " + name
	}
	if g.Condition != "" {
		name += " if " + g.Condition
	}
	return name
}

func ruleName(_ reflect.StructField, v reflect.Value) string { return v.Interface().(Rule).String() }

func at(s Scope) string {
	if s == "" || s == Everywhere {
		return ""
	}
	return " at " + string(s)
}

// usual gives a value with what it means when it is left out, and lists that are
// sets in one order.
func usual(owner reflect.Type, f reflect.StructField, v reflect.Value) any {
	if v.IsZero() {
		if u, ok := usualOf(owner, f); ok {
			return u
		}
	}
	if v.Kind() == reflect.Slice {
		return usualList(owner, f, v)
	}
	if v.Kind() == reflect.Map && v.Len() == 0 || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	if t, ok := v.Interface().(time.Time); ok {
		return t.UTC().Round(0)
	}
	return v.Interface()
}

func usualOf(owner reflect.Type, f reflect.StructField) (any, bool) {
	switch f.Type {
	case reflect.TypeFor[Combining]():
		return DenyOverrides, true
	case reflect.TypeFor[GroupKind]():
		return GroupRegular, true
	case reflect.TypeFor[UserStatus]():
		return UserActive, true
	case reflect.TypeFor[EmailUnique]():
		return EmailPerTenant, true
	case reflect.TypeFor[Scope]():
		return Everywhere, true
	case reflect.TypeFor[Section]():
		return DefaultRoot, owner == reflect.TypeFor[Policy]() && f.Name == "Root"
	}
	return nil, false
}

// bounding are lists of which an empty one bounds everything and none nothing.
var bounding = map[string]bool{"Scopes": true, "Menu": true}

func usualList(owner reflect.Type, f reflect.StructField, v reflect.Value) any {
	if v.IsNil() || v.Len() == 0 && !bounding[f.Name] {
		return nil
	}
	list := make([]string, v.Len())
	for i := range list {
		list[i] = fmt.Sprint(v.Index(i).Interface())
	}
	if owner != reflect.TypeFor[User]() || f.Name != "Menu" {
		slices.Sort(list)
	}
	return list
}

// valueText gives a value as people write it.
func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case Rights:
		return strings.Join(v.Names(), "+")
	case []string:
		if len(v) == 0 {
			return "none at all"
		}
		return strings.Join(v, ", ")
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.Format(time.RFC3339Nano)
	}
	if k := reflect.ValueOf(v).Kind(); k == reflect.Map || k == reflect.Pointer {
		text, _ := json.Marshal(v) // it came from JSON
		return string(text)
	}
	return fmt.Sprint(v)
}

// snake gives the name of a member as files and answers write it.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
