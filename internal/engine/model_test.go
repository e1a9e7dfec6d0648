package engine_test

import (
	"strings"
	"testing"

	"github.com/casbin/casbin/v2/model"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// TestModelOf tells the built-in model from others, whatever its blanks.
func TestModelOf(t *testing.T) {
	ours := engine.Model(access.DenyOverrides)
	for name, tc := range map[string]struct {
		text      string
		foreign   bool
		combining access.Combining
	}{
		"as it is":           {ours, false, access.DenyOverrides},
		"allow-overrides":    {engine.Model(access.AllowOverrides), false, access.AllowOverrides},
		"with comments":      {"# ours\n" + strings.Replace(ours, "[matchers]", "# how\n[matchers]", 1), false, access.DenyOverrides},
		"without blanks":     {strings.Replace(strings.Replace(ours, "sub, dom, obj, act, ctx", "sub,dom,obj,act,ctx", 1), "m = g(r.sub, p.sub, r.dom) && ", "m=g( r.sub,p.sub,r.dom )&&", 1), false, access.DenyOverrides},
		"over two lines":     {strings.Replace(ours, "r.dom) && ", "r.dom) && \\\n  ", 1), false, access.DenyOverrides},
		"another matcher":    {strings.Replace(ours, " && holds(p.cond, p.eft, r.ctx)", "", 1), true, ""},
		"a blank in a text":  {strings.Replace(ours, `"superuser"`, `"super user"`, 1), true, ""},
		"another effect":     {strings.Replace(ours, "some(where (p.eft == allow)) && !", "!", 1), true, ""},
		"another definition": {strings.Replace(ours, "[role_definition]\n", "[role_definition]\ng2 = _, _\n", 1), true, ""},
		"another model":      {aclModel, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			text, c, err := engine.ModelOf(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if (text != "") != tc.foreign || tc.foreign && text != tc.text || c != tc.combining {
				t.Errorf("got combining %q and %d bytes", c, len(text))
			}
		})
	}
}

// TestModel_stock: the text of the built-in model runs unchanged in stock Casbin
// and has six fields, as many as casbin_rule has columns.
func TestModel_stock(t *testing.T) {
	m, err := model.NewModelFromString(engine.Model(""))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m["p"]["p"].Tokens); n != access.MaxRuleValues {
		t.Errorf("p has %d fields", n)
	}
}
