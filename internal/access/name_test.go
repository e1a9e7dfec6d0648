package access_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/bailiwick/bailiwick/internal/access"
)

func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		check func(field, s string) error
		in    string
		ok    bool
	}{
		"a name may hold blanks inside":       {access.ValidName, "Sales managers", true},
		"a name may be in any script":         {access.ValidName, "Vertrieb Süd", true},
		"blank is refused":                    {access.ValidName, "", false},
		"a trailing blank is refused":         {access.ValidName, "alice ", false},
		"a leading no-break space is refused": {access.ValidName, "\u00a0alice", false},
		"a tab inside is refused":             {access.ValidName, "a\tb", false},
		"NUL is refused":                      {access.ValidName, "a\x00b", false},
		"zero width space is refused":         {access.ValidName, "al\u200bice", false},
		"right to left override is refused":   {access.ValidName, "al\u202eice", false},
		"line separator is refused":           {access.ValidName, "a\u2028b", false},
		"decomposed letters are refused":      {access.ValidName, "e\u0301", false},
		"composed letters are accepted":       {access.ValidName, "é", true},
		"broken UTF-8 is refused":             {access.ValidName, "a\xff", false},
		"100 bytes are accepted":              {access.ValidName, strings.Repeat("a", 100), true},
		"101 bytes are refused":               {access.ValidName, strings.Repeat("a", 101), false},
		"bytes count, not letters":            {access.ValidName, strings.Repeat("é", 51), false},

		"an id leaves room for its prefix": {access.ValidID, strings.Repeat("a", 98), true},
		"99 bytes of id are refused":       {access.ValidID, strings.Repeat("a", 99), false},
		"a comma in an id is refused":      {access.ValidID, "a,b", false},
		"an id may look like an e-mail":    {access.ValidID, "op@example.com", true},
		"anonymous is reserved":            {access.ValidUserID, "anonymous", false},

		// Req 3: the code builds URLs.
		"a code is lower case with dashes": {access.ValidCode, "sales-managers_2", true},
		"a code has no capitals":           {access.ValidCode, "Sales", false},
		"a code has no blank":              {access.ValidCode, "sales managers", false},
		"a code has no slash":              {access.ValidCode, "sales/eu", false},
		"a code does not begin with -":     {access.ValidCode, "-sales", false},
		"a code is required":               {access.ValidCode, "", false}, // Req 2
		"a code of 99 bytes is refused":    {access.ValidCode, strings.Repeat("a", 99), false},

		"an action begins with a letter":  {access.ValidAction, "2show", false},
		"an action is not inherit":        {access.ValidAction, "inherit", false},
		"an action may be a declared one": {access.ValidAction, "send-mail", true},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.check("field", c.in)
			if (err == nil) != c.ok {
				t.Fatalf("%q: got %v", c.in, err)
			}
			if err != nil && (!errors.Is(err, access.ErrInvalid) || !strings.HasPrefix(err.Error(), "field: ")) {
				t.Errorf("the error must be invalid and name the field: %v", err)
			}
		})
	}
}

func TestSections(t *testing.T) {
	for in, ok := range map[string]bool{
		"System": true, "System.Orders.Export": true, "a-b_c.D9": true,
		"": false, ".": false, "A.": false, ".A": false, "A..B": false, "A B": false, "A/B": false, "Ä": false, "*": false,
		strings.Repeat("a", 100): true, strings.Repeat("a", 101): false,
	} {
		if err := access.ValidSection("section", access.Section(in)); (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// Paths match by segments, never by string prefix.
func TestSection_Above(t *testing.T) {
	for _, c := range []struct {
		above, below access.Section
		want         bool
	}{
		{"T.A", "T.A.B", true},
		{"T", "T.A.B", true},
		{"T.A", "T.Abc", false},
		{"T.A", "T.A", false},
		{"T.A.B", "T.A", false},
		{"T.A", "X.A.B", false},
	} {
		if got := c.above.Above(c.below); got != c.want {
			t.Errorf("%s above %s: %v", c.above, c.below, got)
		}
	}
	if p := access.Section("System.Orders.Export").Parent(); p != "System.Orders" {
		t.Errorf("parent: %q", p)
	}
	if p := access.Section("System").Parent(); p != "" {
		t.Errorf("a root has no parent, got %q", p)
	}
}

func TestScopes(t *testing.T) {
	for in, ok := range map[string]bool{
		"*": true, "store:eu-1": true, "store:Größe 1": true,
		"": false, "store": false, "store:": false, ":1": false, "Store:1": false, "store:a/b": false, "store:a,b": false,
		"store: 1": false, "store:" + strings.Repeat("a", 94): true, "store:" + strings.Repeat("a", 95): false,
	} {
		if err := access.ValidScope("scope", access.Scope(in)); (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
	}
	tree := map[access.Scope]access.Scope{"company:7": "*", "store:1": "company:7"}
	if path, ok := access.Scope("store:1").Path(tree); !ok || path != "*/company:7/store:1" {
		t.Errorf("path: %q %v", path, ok)
	}
	if _, ok := access.Scope("store:2").Path(tree); ok {
		t.Error("an unknown scope has no path")
	}
}

func TestSubjects(t *testing.T) {
	for in, rule := range map[string]string{"user:42": "u:42", "app:crm": "a:crm", "anonymous": "u:anonymous", "user:a:b": "u:a:b"} {
		s, err := access.ParseSubject("subject", in)
		if err != nil || s.Rule() != rule || s.String() != in {
			t.Errorf("%q: %v %q %q", in, err, s.Rule(), s.String())
		}
	}
	for _, in := range []string{"", "user", "user:", "alice", "u:42", "role:x", "app:CRM", "user:anonymous", "superuser", "user: a"} {
		if s, err := access.ParseSubject("subject", in); err == nil {
			t.Errorf("%q must be refused, got %v", in, s)
		}
	}
}

// A user can never be taken for a role, whatever he is called.
func TestParseName(t *testing.T) {
	for name, want := range map[string]access.Kind{
		"u:superuser": access.KindUser, "u:g:sales": access.KindUser, "g:sales": access.KindGroup,
		"r:clerk": access.KindRole, "a:crm": access.KindApplication, "superuser": access.KindRole,
	} {
		kind, id, ok := access.ParseName(name)
		if !ok || kind != want || access.Name(kind, id) != name {
			t.Errorf("%q: %c %q %v", name, kind, id, ok)
		}
	}
	for _, name := range []string{"", "u:", "x:1", "alice", "r:superuser", "g:Sales", "Superuser", "u:a,b", "u: a"} {
		if _, _, ok := access.ParseName(name); ok {
			t.Errorf("%q must not be a name", name)
		}
	}
}

// TestValidName_everyByte: what is plain goes a shorter way, and by the same rules.
func TestValidName_everyByte(t *testing.T) {
	for c := range rune(0x100) {
		for _, name := range []string{string(c), "a" + string(c), string(c) + "a", "a" + string(c) + "a"} {
			visible := !unicode.IsControl(c) && c != 0xad // the soft hyphen
			want := visible && (!unicode.IsSpace(c) || len(name) > 2 && name[0] == 'a' && name[len(name)-1] == 'a')
			if err := access.ValidName("field", name); (err == nil) != want {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}
