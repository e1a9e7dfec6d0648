package bundle

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Where accounts and plain lines are written that did not come from files.
const (
	accountsName = "users/accounts.yaml"
	linesName    = "rules.csv"
)

// Write gives the files of a policy in their canonical form, such that Read
// gives the policy back. What was read from a file of users or lines goes to a
// file of that name. Deleted accounts do not stand in files.
func Write(p *access.Policy) (map[string]string, error) {
	w := &writer{files: map[string]string{}}
	w.bundle(p)
	for _, a := range p.Catalogue {
		w.file("catalogue/"+a.Code+".yaml", "Application", applicationOf(a))
	}
	for _, r := range p.Roles {
		w.file("roles/"+r.Code+".yaml", "Role", roleOf(r))
	}
	for _, g := range p.Groups {
		w.file("groups/"+g.Code+".yaml", "Group", groupOf(g))
	}
	w.users(p.Users)
	w.lines(p.Rules)
	if p.Model != "" {
		w.files[modelName] = p.Model
	}
	return w.files, errors.Join(w.errs...)
}

// Piece gives that part of a policy that was read from one file.
func Piece(p *access.Policy, file string) *access.Policy {
	piece := &access.Policy{}
	if file == bundleName {
		*piece = *p
		piece.Model, piece.Catalogue, piece.Roles, piece.Groups, piece.Users, piece.Rules, piece.Guarantees = "", nil, nil, nil, nil, nil, nil
		return piece
	}
	if file == modelName {
		piece.Model = p.Model
	}
	piece.Catalogue = from(p.Catalogue, file, func(a access.Application) access.Origin { return a.Origin })
	piece.Roles = from(p.Roles, file, func(r access.Role) access.Origin { return r.Origin })
	piece.Groups = from(p.Groups, file, func(g access.Group) access.Origin { return g.Origin })
	piece.Users = from(p.Users, file, func(u access.User) access.Origin { return u.Origin })
	piece.Rules = from(p.Rules, file, func(r access.Rule) access.Origin { return r.Origin })
	piece.Guarantees = from(p.Guarantees, file, func(g access.Guarantee) access.Origin { return g.Origin })
	return piece
}

func from[T any](all []T, file string, at func(T) access.Origin) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return at(x).File != file })
}

// writer gathers files.
type writer struct {
	files map[string]string
	errs  []error
}

// file writes one of our structs as YAML.
func (w *writer) file(name, kind string, of any) {
	v := reflect.ValueOf(of).Elem()
	v.FieldByName("APIVersion").SetString("bailiwick/v1")
	v.FieldByName("Kind").SetString(kind)
	node, err := nodeOf(v)
	var text []byte
	if err == nil {
		text, err = yaml.Marshal(node)
	}
	if err == nil {
		text, err = Format(name, text)
	}
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s cannot be written as a file: %w", name, err))
		return
	}
	w.files[name] = string(text)
}

func (w *writer) bundle(p *access.Policy) {
	f := &bundleFile{
		Tenant: p.Tenant, Description: p.Description, Combining: string(p.Combining), Root: string(p.Root), Anonymous: p.Anonymous, NeedBase: p.NeedBase,
	}
	if f.Root == string(access.DefaultRoot) {
		f.Root = ""
	}
	if p.Model != "" && p.Combining == access.DenyOverrides {
		f.Combining = ""
	}
	if d := p.Functions; len(d.Roles)+len(d.Domains)+len(d.Conditions) > 0 || d.Eval {
		f.Functions = &functionsEntry{Roles: wordsOf[matching](d.Roles), Domains: wordsOf[matching](d.Domains), Conditions: wordsOf[limiting](d.Conditions)}
		if d.Eval {
			f.Functions.Eval = &truth{is: true}
		}
	}
	if p.SignIn != (access.SignInRules{}) {
		f.SignIn = signInOf(p.SignIn)
	}
	if a := p.Accounts; !a.Empty() {
		f.Accounts = &accountsEntry{EmailPattern: a.EmailPattern, Required: a.Required, EmailUnique: string(a.EmailUnique)}
	}
	for _, l := range p.Licences {
		f.Licences = append(f.Licences, licenceEntry{Feature: l.Feature, Seats: l.Seats})
	}
	for _, s := range p.Scopes {
		f.Scopes = append(f.Scopes, scopeEntry{Scope: string(s.Scope), Parent: scopeText(s.Parent), Name: s.Name})
	}
	w.file(bundleName, "Bundle", f)
	if len(p.Guarantees) == 0 {
		return
	}
	g := &guaranteesFile{}
	for _, x := range p.Guarantees {
		g.Guarantees = append(g.Guarantees, guaranteeOf(x))
	}
	w.file(guaranteesName, "Guarantees", g)
}

func signInOf(r access.SignInRules) *signInEntry {
	minutes := func(d time.Duration) int { return int(d / time.Minute) }
	return &signInEntry{
		MinLength: r.MinLength, Lower: r.Lower, Upper: r.Upper, Digits: r.Digits, Symbols: r.Symbols, NoReuse: r.NoReuse, ExpireDays: r.ExpireDays,
		Failures: r.Failures, FailureMinutes: minutes(r.FailureWindow), LockMinutes: minutes(r.LockFor), LockForGood: r.LockForGood,
		IdleMinutes: minutes(r.IdleTime), TotalMinutes: minutes(r.TotalTime), SecondFactor: string(r.SecondFactor),
	}
}

func wordsOf[N matching | limiting](names map[string]string) map[string]N {
	all := map[string]N{}
	for definition, name := range names {
		all[definition] = N(word{text: name})
	}
	return all
}

// scopeText leaves out what is meant when nothing is said.
func scopeText(s access.Scope) string {
	if s == access.Everywhere {
		return ""
	}
	return string(s)
}

func guaranteeOf(g access.Guarantee) guaranteeEntry {
	e := guaranteeEntry{
		Name: g.Name, Description: g.Description, Rule: string(g.Rule), Who: g.Who, Except: g.Except, Scope: scopeText(g.Scope),
		Holders: g.Most, Condition: g.Condition,
	}
	for _, r := range g.Rights {
		e.Rights = append(e.Rights, guardedEntry{Section: string(r.Section), Rights: rights{sum: r.Rights, actions: r.Actions, set: true}})
	}
	return e
}

func applicationOf(a access.Application) *applicationFile {
	f := &applicationFile{
		Code: a.Code, Name: a.Name, Names: a.Names, Description: a.Description, Version: a.Version,
		Groups: groupLinksOf(a.Groups), Roles: roleLinksOf(a.Roles), Grants: grantsOf(a.Grants),
	}
	for _, e := range a.Families {
		f.Families = append(f.Families, familyEntry{Name: e.Name, Names: e.Names})
	}
	for _, s := range a.Sections {
		f.Sections = append(f.Sections, sectionOf(s))
	}
	return f
}

func sectionOf(s access.SectionEntry) sectionEntry {
	e := sectionEntry{
		Path: string(s.Path), Name: s.Name, Names: s.Names, Description: s.Description, Family: s.Family,
		Licence: s.Licence, Field: s.Field, Cascade: s.Cascade, Deprecated: s.Deprecated,
	}
	for _, a := range s.Actions {
		e.Actions = append(e.Actions, actionEntry{Name: a.Name, Label: a.Label, Labels: a.Labels, Description: a.Description})
	}
	for _, q := range s.Prerequisites {
		e.Prerequisites = append(e.Prerequisites, prerequisiteEntry{Section: string(q.Section), Rights: standardRights(q.Rights)})
	}
	if s.Menu != nil {
		e.Menu = &menuEntry{Label: s.Menu.Label, Labels: s.Menu.Labels, Order: s.Menu.Order}
	}
	return e
}

func roleOf(r access.Role) *roleFile {
	return &roleFile{Code: r.Code, Name: r.Name, Description: r.Description, Roles: roleLinksOf(r.Roles), Grants: grantsOf(r.Grants)}
}

func groupOf(g access.Group) *groupFile {
	f := &groupFile{
		Code: g.Code, Name: g.Name, Description: g.Description, Type: string(g.Kind), Base: g.Base,
		Roles: roleLinksOf(g.Roles), Grants: grantsOf(g.Grants), Signature: g.Signature, Attributes: g.Attributes,
		Scopes: ceiling{limited: g.Scopes != nil}, Manages: ceiling{limited: g.Manages != nil, names: g.Manages},
	}
	if g.Kind == access.GroupRegular {
		f.Type = ""
	}
	for _, s := range g.Scopes {
		f.Scopes.names = append(f.Scopes.names, string(s))
	}
	return f
}

// users go to the files that they were read from.
func (w *writer) users(users []access.User) {
	files := map[string]*usersFile{}
	for _, u := range users {
		if u.Status == access.UserDeleted {
			continue
		}
		name := u.Origin.File
		if path.Dir(name) != "users" || path.Ext(name) != ".yaml" {
			name = accountsName
		}
		if files[name] == nil {
			files[name] = &usersFile{}
		}
		files[name].Users = append(files[name].Users, userOf(u))
	}
	for name, f := range files {
		w.file(name, "Users", f)
	}
}

func userOf(u access.User) userEntry {
	e := userEntry{ID: u.ID, userBody: userBody{
		Email: u.Email, Home: string(u.Home), Name: u.Name, Status: string(u.Status), Groups: groupLinksOf(u.Groups), Roles: roleLinksOf(u.Roles), Grants: grantsOf(u.Grants),
		Licences: u.Licences, ApplicationsOff: u.ApplicationsOff, Attributes: u.Attributes, ExternalID: u.ExternalID,
	}}
	if u.Status == access.UserActive {
		e.Status = ""
	}
	if u.Menu != nil {
		e.Menu = []string{}
	}
	for _, s := range u.Menu {
		e.Menu = append(e.Menu, string(s))
	}
	return e
}

func groupLinksOf(links []access.Link) (all []groupLink) {
	for _, l := range links {
		all = append(all, groupLink{Group: l.To, reach: reachOf(l.Scope, l.Validity)})
	}
	return all
}

func roleLinksOf(links []access.Link) (all []roleLink) {
	for _, l := range links {
		all = append(all, roleLink{Role: l.To, reach: reachOf(l.Scope, l.Validity)})
	}
	return all
}

func reachOf(s access.Scope, v access.Validity) reach {
	return reach{Scope: scopeText(s), From: v.From, Until: v.Until}
}

func grantsOf(grants []access.Grant) (all []grantEntry) {
	for _, g := range grants {
		e := grantEntry{
			Section: string(g.Section), Rights: rights{sum: g.Rights, actions: g.Actions, set: true}, Effect: string(g.Effect),
			Condition: g.Condition, reach: reachOf(g.Scope, g.Validity),
		}
		if g.Effect == access.Allow {
			e.Effect = ""
		}
		all = append(all, e)
	}
	return all
}

// lines are plain Casbin lines, in the files that they were read from.
func (w *writer) lines(rules []access.Rule) {
	texts := map[string]*bytes.Buffer{}
	for _, r := range rules {
		name := r.Origin.File
		if path.Dir(name) != "." || path.Ext(name) != ".csv" {
			name = linesName
		}
		if texts[name] == nil {
			texts[name] = &bytes.Buffer{}
		}
		_, _ = texts[name].WriteString(csvText(r)) // a buffer never fails
	}
	for name, text := range texts {
		w.files[name] = text.String()
	}
}

// csvText writes a line with quotes where Casbin's reader needs them.
func csvText(r access.Rule) string {
	var b strings.Builder
	c := csv.NewWriter(&b)
	_ = c.Write(append([]string{r.Type}, r.Values...)) // it writes to memory
	c.Flush()
	if strings.Contains(b.String(), `"`) {
		return b.String()
	}
	return r.String() + "\n"
}

// nodeOf makes YAML of one of our structs, by the tags that the decoder follows.
// What is not said is left out.
func nodeOf(v reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	return n, members(n, v)
}

func members(n *yaml.Node, v reflect.Value) error {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if f.Anonymous {
			if err := members(n, value); err != nil {
				return err
			}
			continue
		}
		if key == "" || key == "-" {
			continue
		}
		item, err := valueNode(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if item != nil {
			n.Content = append(n.Content, textNode(key), item)
		}
	}
	return nil
}

// valueNode gives nil for what is not said.
func valueNode(v reflect.Value) (*yaml.Node, error) {
	if n, known, err := ownNode(v); known {
		return n, err
	}
	switch v.Kind() { //nolint:exhaustive // the file format has no others
	case reflect.String:
		if v.String() == "" {
			return nil, nil //nolint:nilnil // it is not said
		}
		return textNode(v.String()), nil
	case reflect.Bool, reflect.Int:
		if v.IsZero() {
			return nil, nil //nolint:nilnil // it is not said
		}
		n := &yaml.Node{}
		return n, n.Encode(v.Interface())
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // it is not said
		}
		return valueNode(v.Elem())
	case reflect.Struct:
		return structNode(v)
	case reflect.Slice:
		return listNode(v)
	case reflect.Map:
		return mapNode(v)
	}
	return nil, access.Invalid("value", "of type %s cannot be written", v.Type())
}

func ownNode(v reflect.Value) (n *yaml.Node, known bool, err error) {
	switch x := v.Interface().(type) {
	case time.Time:
		if x.IsZero() {
			return nil, true, nil
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: x.UTC().Format(time.RFC3339Nano)}, true, nil
	case rights:
		return rightsNode(x), true, nil
	case standardRights:
		return rightsNode(rights{sum: access.Rights(x), set: x != 0}), true, nil
	case ceiling:
		return ceilingNode(x), true, nil
	case attributes:
		if len(x) == 0 {
			return nil, true, nil
		}
		n, err = jsonNode(map[string]any(x))
		return n, true, err
	case truth:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(x.is)}, true, nil
	case matching:
		return textNode(x.text), true, nil
	case limiting:
		return textNode(x.text), true, nil
	}
	return nil, false, nil
}

func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func rightsNode(r rights) *yaml.Node {
	if !r.set {
		return nil
	}
	names := append(r.sum.Names(), r.actions...)
	if len(names) == 0 || r.sum == access.AllRights && len(r.actions) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: r.sum.String()}
	}
	return textsNode(names)
}

func textsNode(names []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, name := range names {
		n.Content = append(n.Content, textNode(name))
	}
	return n
}

func ceilingNode(c ceiling) *yaml.Node {
	switch {
	case !c.limited:
		return nil
	case len(c.names) == 0:
		return textNode("none")
	}
	return textsNode(c.names)
}

// structNode writes an entry; one of which only the member that may stand for it
// says something is written as that.
func structNode(v reflect.Value) (*yaml.Node, error) {
	n, err := nodeOf(v)
	if err != nil || len(n.Content) != 2 {
		return n, err
	}
	for i := range v.NumField() {
		if key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); option == "short" && n.Content[0].Value == key {
			return n.Content[1], nil
		}
	}
	return n, nil
}

func listNode(v reflect.Value) (*yaml.Node, error) {
	if v.IsNil() || v.Len() == 0 && v.Type() != reflect.TypeFor[[]string]() {
		return nil, nil //nolint:nilnil // it is not said
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if v.Type() == reflect.TypeFor[[]string]() {
		n.Style = yaml.FlowStyle
	}
	for i := range v.Len() {
		item, err := valueNode(v.Index(i))
		if err != nil {
			return nil, err
		}
		if item.Kind == yaml.ScalarNode {
			n.Style = yaml.FlowStyle
		}
		n.Content = append(n.Content, item)
	}
	return n, nil
}

func mapNode(v reflect.Value) (*yaml.Node, error) {
	if v.Len() == 0 {
		return nil, nil //nolint:nilnil // it is not said
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		item, err := valueNode(v.MapIndex(key))
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, textNode(key.String()), item)
	}
	return n, nil
}

// jsonNode writes a JSON value such that the decoder gives it back, or says why
// it cannot stand in a file.
func jsonNode(v any) (*yaml.Node, error) {
	switch x := v.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range slices.Sorted(maps.Keys(x)) {
			item, err := jsonNode(x[key])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			n.Content = append(n.Content, textNode(key), item)
		}
		return n, nil
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, e := range x {
			item, err := jsonNode(e)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		return n, nil
	case string:
		return textNode(x), nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(x)}, nil
	case int64:
		return jsonNode(float64(x))
	case uint64:
		return jsonNode(float64(x))
	case float64:
		return numberNode(x)
	}
	return nil, access.Invalid("attributes", "%v cannot stand in a file", v)
}

func numberNode(x float64) (*yaml.Node, error) {
	if math.IsNaN(x) || math.Abs(x) >= exact {
		return nil, access.Invalid("attributes", "%v is not a number that a file keeps exactly", x)
	}
	tag, text := "!!float", strconv.FormatFloat(x, 'f', -1, 64)
	if x == math.Trunc(x) {
		tag = "!!int"
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}, nil
}
