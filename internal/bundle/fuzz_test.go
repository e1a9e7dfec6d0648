package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

// FuzzRead: what is accepted can be formatted, or says which comment is in the
// way; formatting is idempotent and reading the result gives the same policy.
func FuzzRead(f *testing.F) {
	for name, file := range files(shop, suites) {
		f.Add(name, file.Data)
	}
	for _, tc := range mistakes {
		for name, file := range files(tc.files) {
			f.Add(name, file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, name string, src []byte) {
		fsys := files(shop)
		fsys[name] = &fstest.MapFile{Data: src}
		b, err := bundle.Read(fsys, bundle.Options{})
		var problems access.Problems
		if err != nil && !errors.As(err, &problems) {
			t.Skip("not a path")
		}
		if err != nil {
			for _, p := range problems {
				if p.Origin.File == "" || p.Code == "" || p.Message == "" {
					t.Errorf("problem without place or words: %+v", p)
				}
			}
			return
		}
		out, err := bundle.Format(name, src)
		if err != nil {
			return // a name that is left alone, or a comment in the way
		}
		again, err := bundle.Format(name, out)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("formatting twice (%v):\n%s\nthen\n%s", err, out, again)
		}
		fsys[name].Data = out
		b2, err := bundle.Read(fsys, bundle.Options{})
		if err != nil {
			t.Fatalf("formatted:\n%s\n%v", out, err)
		}
		if p, p2 := withoutOrigins(t, b), withoutOrigins(t, b2); p != p2 {
			t.Errorf("got\n%s\nwant\n%s", p2, p)
		}
	})
}

// withoutOrigins shows everything of a bundle but its places, which formatting moves.
func withoutOrigins(t *testing.T, b *bundle.Bundle) string {
	t.Helper()
	out, err := json.Marshal([]any{b.Policy, b.Tests})
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	dropOrigins(all)
	out, _ = json.Marshal(all)
	return string(out)
}

func dropOrigins(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "Origin")
		for _, item := range v {
			dropOrigins(item)
		}
	case []any:
		for _, item := range v {
			dropOrigins(item)
		}
	}
}

// FuzzCSV: whatever lines we accept, Casbin's own reader makes the same of.
func FuzzCSV(f *testing.F) {
	f.Add("p, g:staff, *, Shop.Stock, 2, allow, -\n# c\n\n  g,u:bob, \"g:staff\",  *  ")
	f.Add("p, \"a \"\"b\"\" c\", d\np2, x, y # z\ng, \u00a0a, b\u0085")
	f.Add("g, a,b\r\np,\"x,y\",z\r")
	for _, tc := range mistakes {
		if file := files(tc.files)["a.csv"]; file != nil {
			f.Add(string(file.Data))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := bundle.Read(fstest.MapFS{
			"bundle.yaml": {Data: []byte("{apiVersion: bailiwick/v1, kind: Bundle, tenant: t}")},
			"model.conf":  {Data: []byte("m")},
			"a.csv":       {Data: []byte(text)},
		}, bundle.Options{})
		if err != nil {
			return
		}
		stock := stockLines(t, text, b.Policy.Rules)
		if len(stock) != len(b.Policy.Rules) {
			t.Fatalf("Casbin reads %d lines, we read %d", len(stock), len(b.Policy.Rules))
		}
		for i, r := range b.Policy.Rules {
			if !slices.Equal(stock[i], append([]string{r.Type}, r.Values...)) {
				t.Errorf("Casbin reads %q, we read %q", stock[i], r)
			}
		}
	})
}

// stockLines has Casbin load each line of the text into a model that has room
// for it, as its file adapter would.
func stockLines(t *testing.T, text string, rules []access.Rule) [][]string {
	t.Helper()
	var read [][]string
	for _, raw := range strings.Split(text, "\n") {
		line := strings.TrimSpace(raw)
		if line == "" || line[0] == '#' {
			continue
		}
		if len(read) == len(rules) {
			return append(read, nil)
		}
		kind, size := rules[len(read)].Type, len(rules[len(read)].Values)
		m := model.NewModel()
		m.AddDef(kind[:1], kind, strings.TrimSuffix(strings.Repeat("_, ", size), ", "))
		if err := persist.LoadPolicyLine(line, m); err != nil {
			t.Fatalf("Casbin refuses %q: %v", line, err)
		}
		for _, values := range m[kind[:1]][kind].Policy {
			read = append(read, append([]string{kind}, values...))
		}
	}
	return read
}
