package access_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

func samplePolicy() *access.Policy {
	return &access.Policy{
		Tenant: "crm", Description: "Sales",
		Roles: []access.Role{{Code: "clerk", Grants: []access.Grant{{Section: "System.Orders", Rights: access.Show}}}},
		Groups: []access.Group{
			{Code: "sales", Name: "Sales", Roles: []access.Link{{To: "clerk"}}, Scopes: []access.Scope{"store:1", "store:2"}},
			{Code: "support", Kind: access.GroupTemplate},
		},
		Users: []access.User{{ID: "7", Email: "sales-1@example.com", Groups: []access.Link{{To: "sales"}, {To: "support"}}}},
	}
}

func TestDiff(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(p *access.Policy)
		want []string
	}{
		"the same is no difference": {func(*access.Policy) {}, nil},
		"a usual value is one that is left out": {func(p *access.Policy) {
			p.Combining, p.Root = access.DenyOverrides, "System"
			p.Groups[0].Kind, p.Users[0].Status = access.GroupRegular, access.UserActive
			p.Groups[0].Roles[0].Scope, p.Roles[0].Grants[0].Effect = "*", access.Allow
		}, nil},
		"places and sets have no order": {func(p *access.Policy) {
			p.Groups[0].Origin.File = "groups/sales.yaml"
			slices.Reverse(p.Groups)
			slices.Reverse(p.Groups[1].Scopes)
		}, nil},
		"a user's groups have": {
			func(p *access.Policy) { slices.Reverse(p.Users[0].Groups) },
			[]string{"link of u:7 changed: order g:sales; g:support -> g:support; g:sales"},
		},
		"a member": {
			func(p *access.Policy) { p.Groups[0].Name = "Sales EU" },
			[]string{"group sales changed: name Sales -> Sales EU"},
		},
		"a new group and what it holds": {
			func(p *access.Policy) {
				p.Groups = append(p.Groups, access.Group{
					Code: "shop", Base: "sales",
					Grants: []access.Grant{{Section: "System.Orders", Scope: "store:1", Effect: access.Deny, Rights: access.Delete | access.Show}},
				})
			},
			[]string{"group shop added: base sales", "grant deny System.Orders at store:1 of g:shop added: rights show+delete"},
		},
		"a group that goes": {
			func(p *access.Policy) { p.Groups = p.Groups[:1] },
			[]string{"group support removed: kind template"},
		},
		"rights of a grant": {
			func(p *access.Policy) { p.Roles[0].Grants[0].Rights |= access.Update },
			[]string{"grant System.Orders of r:clerk changed: rights show -> show+update"},
		},
		"an empty ceiling is not none": {
			func(p *access.Policy) { p.Groups[1].Scopes = []access.Scope{} },
			[]string{"group support changed: scopes \"\" -> none at all"},
		},
		"a setting": {
			func(p *access.Policy) { p.Combining = access.AllowOverrides },
			[]string{"setting changed: combining deny-overrides -> allow-overrides"},
		},
		"plain lines": {
			func(p *access.Policy) { p.Rules = []access.Rule{{Type: "p", Values: []string{"a", "b"}}} },
			[]string{"rule p, a, b added"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			after := samplePolicy()
			tc.edit(after)
			var got []string
			for _, o := range access.Diff(samplePolicy(), after) {
				got = append(got, o.String())
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("gives\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// TestDiff_ordered: under a model of one's own the order of lines may decide.
func TestDiff_ordered(t *testing.T) {
	rules := []access.Rule{{Type: "p", Values: []string{"a"}}, {Type: "p", Values: []string{"b"}}}
	before, after := access.Policy{Rules: rules}, access.Policy{Rules: slices.Clone(rules)}
	slices.Reverse(after.Rules)
	if all := access.Diff(&before, &after); len(all) != 0 {
		t.Errorf("our own model: %v", all)
	}
	before.Model, after.Model = "m", "m"
	want := access.Operation{Verb: access.Changed, Kind: "rule", Field: "order", Before: "p, a; p, b", After: "p, b; p, a"}
	if all := access.Diff(&before, &after); !slices.Equal(all, []access.Operation{want}) {
		t.Errorf("another model: %v", all)
	}
}

// full fills in everything, two of each list, all values different.
type full struct{ n int }

func (f *full) fill(v reflect.Value) {
	f.n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("v%d", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(f.n%60 + 1))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		f.fill(value)
		v.SetMapIndex(reflect.ValueOf(fmt.Sprintf("k%d", f.n)).Convert(v.Type().Key()), value)
	case reflect.Interface:
		v.Set(reflect.ValueOf(int64(f.n)))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Struct:
		f.members(v)
	default:
		panic("the test cannot fill " + v.Type().String())
	}
}

func (f *full) members(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(int64(f.n), 0).UTC()))
		return
	}
	for i := range v.NumField() {
		f.fill(v.Field(i))
	}
}

func fullPolicy() *access.Policy {
	var p access.Policy
	(&full{}).fill(reflect.ValueOf(&p).Elem())
	return &p
}

// leaves visits everything that can be changed for itself.
func leaves(path string, v reflect.Value, visit func(path string, v reflect.Value)) {
	switch {
	case v.Type() == reflect.TypeFor[access.Origin](), strings.HasSuffix(path, ".Origins"), strings.HasSuffix(path, ".Place"), strings.HasSuffix(path, ".CreatedAt"):
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			leaves(path+"."+v.Type().Field(i).Name, v.Field(i), visit)
		}
	case v.Kind() == reflect.Slice:
		visit(path, v)
		for i := range v.Len() {
			leaves(fmt.Sprintf("%s[%d]", path, i), v.Index(i), visit)
		}
	case v.Kind() == reflect.Pointer:
		visit(path, v)
		leaves(path, v.Elem(), visit)
	default:
		visit(path, v)
	}
}

// TestDiff_complete: whatever a policy says, changing it shows, both ways, and
// shows where it is.
func TestDiff_complete(t *testing.T) {
	if all := access.Diff(fullPolicy(), fullPolicy()); len(all) != 0 {
		t.Fatalf("a policy differs from itself: %v", all)
	}
	count := 0
	changed := fullPolicy()
	leaves("", reflect.ValueOf(changed).Elem(), func(path string, v reflect.Value) {
		count++
		was := reflect.New(v.Type()).Elem()
		was.Set(v)
		for name, to := range map[string]reflect.Value{"another value": another(v), "nothing": reflect.Zero(v.Type())} {
			v.Set(to)
			there, back := access.Diff(fullPolicy(), changed), access.Diff(changed, fullPolicy())
			if len(there) == 0 || len(back) == 0 {
				t.Errorf("%s: %s instead does not show: %v, %v", path, name, there, back)
			}
		}
		v.Set(was)
	})
	if count < 300 {
		t.Errorf("only %d values were changed", count)
	}
}

// another gives a value that differs in as little as possible.
func another(v reflect.Value) reflect.Value {
	w := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Slice:
		w.Set(reflect.MakeSlice(v.Type(), 0, 3))
		w.Set(reflect.AppendSlice(w, v))
		added := reflect.New(v.Type().Elem()).Elem()
		(&full{n: 10_000}).fill(added)
		return reflect.Append(w, added)
	case reflect.Bool:
		w.SetBool(!v.Bool())
	case reflect.Uint8:
		w.SetUint(v.Uint()%62 + 1)
	default:
		(&full{n: 20_000}).fill(w)
	}
	return w
}

// TestDiff_nouns: what belongs to something names it, and every kind of list
// has a name of its own.
func TestDiff_nouns(t *testing.T) {
	kinds := map[string]string{}
	for _, o := range access.Diff(&access.Policy{}, fullPolicy()) {
		kinds[o.Kind] = o.String()
		if strings.Contains(o.Name, "<") || o.Kind == "" {
			t.Errorf("%+v has no name", o)
		}
	}
	for _, kind := range []string{
		"setting", "model", "licence", "scope", "application", "section", "action", "prerequisite", "role", "group", "user", "link", "grant", "rule",
	} {
		if kinds[kind] == "" {
			t.Errorf("there is no operation on a %s", kind)
		}
	}
}
