package access_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Req 20: the template sees the sender, and an unknown field is refused when it
// is saved, with its place.
func TestSignature_mistakesHaveAPlace(t *testing.T) {
	for name, tc := range map[string]struct{ template, want string }{
		"an unknown field":            {"Regards\n  {{ user.pasword }}", `line 2, column 3: "user.pasword" is no placeholder`},
		"no field at all":             {"{{}}", `line 1, column 1: "" is no placeholder`},
		"a call":                      {"{{ user.delete() }}", "is no placeholder"},
		"a path further in":           {"{{ user.name.first }}", "is no placeholder"},
		"another case":                {"{{ User.Name }}", "is no placeholder"},
		"a pipe":                      {"{{ user.name | raw }}", "is no placeholder"},
		"a statement":                 {"{% for %}{{ range }}", "line 1, column 10"},
		"a name over two lines":       {"{{ user.name\n}}", "is no placeholder"},
		"left open":                   {"é {{ user.name", "line 1, column 3: {{ is not closed by }}"},
		"left open before another":    {"{{ user.name {{ user.id }}", "line 1, column 1: {{ is not closed by }}"},
		"closed twice":                {"{{ user.name }} }}", "line 1, column 17: }} closes nothing"},
		"a control character":         {"a\x00b", "line 1, column 2"},
		"an order turned around":      {"a\u202eb", "line 1, column 2"},
		"not UTF-8":                   {"a\xffb", "line 1, column 2"},
		"one byte too long":           {strings.Repeat("x", access.MaxSignature+1), "4096 is the limit"},
		"more placeholders than fit":  {strings.Repeat("{{user.id}}", 201), "more than 100 placeholders"},
		"more placeholders with text": {strings.Repeat("a{{user.id}}", 101), "more than 100 placeholders"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := access.ParseSignature("signature", tc.template)
			if !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := access.ParseSignature("signature", strings.Repeat("x", access.MaxSignature)); err != nil {
		t.Errorf("the longest template: %v", err)
	}
}

// Req 19: the signature is put into messages, where no name may become markup
// or a second header.
func TestSignature_isNothingButText(t *testing.T) {
	u := access.User{ID: "sales-1", Name: `<b>&"Zoë"`, Email: "a@example.com\r\nBcc: b@example.com"}
	g := access.Group{Code: "sales", Name: "{{ user.email }}"}
	for name, tc := range map[string]struct {
		template string
		to       access.SignatureContext
		want     string
	}{
		"text":                     {"Hi { } {{user.name}},\r\n\t{{ group.code }}", access.SignatureText, "Hi { } <b>&\"Zoë\",\n\tsales"},
		"a name is not read again": {"{{ group.name }}", access.SignatureText, "{{ user.email }}"},
		"no line from a name":      {"{{ user.email }}", access.SignatureText, "a@example.com  Bcc: b@example.com"},
		"html": {
			"<i>{{ user.name }}</i>\n{{ user.id }}", access.SignatureHTML,
			"&lt;i&gt;&lt;b&gt;&amp;&#34;Zoë&#34;&lt;/i&gt;<br>\nsales-1",
		},
		"header":             {"{{ user.id }}\r\nX-Evil: 1\n {{ user.email }}", access.SignatureHeader, "sales-1 X-Evil: 1 a@example.com Bcc: b@example.com"},
		"header, not ASCII":  {"Zoë", access.SignatureHeader, "=?utf-8?q?Zo=C3=AB?="},
		"empty stays so":     {"", access.SignatureHTML, ""},
		"nothing to replace": {"{{ user.external_id }}", access.SignatureText, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := access.ParseSignature("signature", tc.template)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Render(&u, &g, tc.to); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// Req 20: whoever loads a policy file with a bad template is told.
func TestPolicy_refusesBadSignatures(t *testing.T) {
	p := access.Policy{Tenant: "x", Groups: []access.Group{{Code: "sales", Signature: "{{ user.secret }}"}}}
	problems := p.Check().Errors()
	if len(problems) != 1 || problems[0].Code != "signature-invalid" {
		t.Errorf("got %v", problems)
	}
}

// Req 21: the first group counts, as long as he is in it.
func TestUser_firstGroup(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	over := access.Validity{Until: now}
	u := access.User{Groups: []access.Link{{To: "gone", Validity: over}, {To: "sales"}, {To: "office"}}}
	if got := u.FirstGroup(now); got != "sales" {
		t.Errorf("got %q", got)
	}
	if got := (&access.User{}).FirstGroup(now); got != "" {
		t.Errorf("got %q of nothing", got)
	}
}

// FuzzSignature: whatever a template says, it is refused or it gives nothing
// that its context could misread, and is of bounded length.
func FuzzSignature(f *testing.F) {
	for _, seed := range []string{"", "{{ user.name }}", "{{", "}}", "{{{{}}}}", "<b>\r\n{{user.email}}\n{{\tgroup.code }}", "é{{ user.id }}\xff"} {
		f.Add(seed, "name\r\n<script>")
	}
	f.Fuzz(func(t *testing.T, template, name string) {
		s, err := access.ParseSignature("signature", template)
		if err != nil {
			if !errors.Is(err, access.ErrInvalid) {
				t.Fatalf("%v", err)
			}
			return
		}
		if again, err := access.ParseSignature("signature", template); err != nil ||
			again.Render(&access.User{}, &access.Group{}, access.SignatureText) != s.Render(&access.User{}, &access.Group{}, access.SignatureText) {
			t.Fatal("the same template gave something else")
		}
		u := access.User{ID: "u", Name: name, Email: name, ExternalID: name}
		g := access.Group{Code: "g", Name: name}
		if h := s.Render(&u, &g, access.SignatureHeader); strings.ContainsAny(h, "\r\n\x00") {
			t.Errorf("a header with the end of a line: %q", h)
		}
		markup := strings.ReplaceAll(s.Render(&u, &g, access.SignatureHTML), "<br>\n", "")
		if strings.ContainsAny(markup, "<>\"'") {
			t.Errorf("markup: %q", markup)
		}
		text := s.Render(&u, &g, access.SignatureText)
		if limit := len(template) + 100*(len(name)*3+1); len(text) > limit {
			t.Errorf("%d bytes", len(text))
		}
		if strings.Count(text, "\n") > strings.Count(template, "\n")+strings.Count(template, "\r") {
			t.Error("a name made a line")
		}
	})
}
