package access

import (
	"fmt"
	"html"
	"mime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxSignature is the longest template of a signature, in bytes.
const MaxSignature = 4096

// maxPlaceholders bounds how long a rendered signature can become.
const maxPlaceholders = 100

// SignatureContext is where a rendered signature goes; each place has its own
// way of writing what must not be taken for anything but text.
type SignatureContext string

// The places a signature can go to.
const (
	SignatureText   SignatureContext = "text"   // a plain-text message
	SignatureHTML   SignatureContext = "html"   // the body of an HTML message
	SignatureHeader SignatureContext = "header" // one header line, by RFC 2047
)

// placeholders are all that a template may name. There is nothing to loop over,
// to call or to reach into: what is not here cannot be said.
var placeholders = map[string]func(*User, *Group) string{
	"user.id":          func(u *User, _ *Group) string { return u.ID },
	"user.name":        func(u *User, _ *Group) string { return u.Name },
	"user.email":       func(u *User, _ *Group) string { return u.Email },
	"user.external_id": func(u *User, _ *Group) string { return u.ExternalID },
	"group.code":       func(_ *User, g *Group) string { return g.Code },
	"group.name":       func(_ *User, g *Group) string { return g.Name },
}

// Placeholders lists what the template of a signature may name, in order.
func Placeholders() []string { return keys(placeholders) }

// Signature is a template that was found to be sound.
type Signature struct {
	parts []signaturePart
}

// signaturePart is a text as it stands, or what a placeholder is replaced by.
type signaturePart struct {
	text  string
	value func(*User, *Group) string // nil for a text
}

// ParseSignature reads the template of a signature: text with placeholders such
// as {{ user.name }}. The error says in which line and column it is wrong.
func ParseSignature(field, template string) (Signature, error) {
	if len(template) > MaxSignature {
		return Signature{}, Invalid(field, "is %d bytes long; %d is the limit", len(template), MaxSignature)
	}
	if at := unprintable(template); at >= 0 {
		return Signature{}, wrongAt(field, template, at, "holds a character that cannot be written")
	}
	var s Signature
	for at := 0; at < len(template); {
		part, length, err := nextPart(field, template, at)
		if err != nil {
			return Signature{}, err
		}
		if s.parts = append(s.parts, part); len(s.parts) > 2*maxPlaceholders {
			return Signature{}, Invalid(field, "has more than %d placeholders", maxPlaceholders)
		}
		at += length
	}
	return s, nil
}

// unprintable gives where a template holds what is neither a character one can
// write nor the end of a line, or what turns the order of others around, or -1.
func unprintable(template string) int {
	for i, r := range template {
		_, size := utf8.DecodeRuneInString(template[i:])
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) || unicode.Is(unicode.Bidi_Control, r) {
			return i
		}
	}
	return -1
}

// nextPart reads one part of a template, and tells how many bytes it takes.
func nextPart(field, template string, at int) (signaturePart, int, error) {
	rest := template[at:]
	if !strings.HasPrefix(rest, "{{") {
		end := strings.Index(rest, "{{")
		if end < 0 {
			end = len(rest)
		}
		if stray := strings.Index(rest[:end], "}}"); stray >= 0 {
			return signaturePart{}, 0, wrongAt(field, template, at+stray, "}} closes nothing")
		}
		return signaturePart{text: rest[:end]}, end, nil
	}
	end := strings.Index(rest, "}}")
	if end < 0 || strings.Contains(rest[2:end], "{{") {
		return signaturePart{}, 0, wrongAt(field, template, at, "{{ is not closed by }}")
	}
	name := strings.Trim(rest[2:end], " \t")
	value, known := placeholders[name]
	if !known {
		return signaturePart{}, 0, wrongAt(field, template, at, unknownPlaceholder(name))
	}
	return signaturePart{value: value}, end + 2, nil
}

func unknownPlaceholder(name string) string {
	message := fmt.Sprintf("%q is no placeholder", name)
	if near := Nearest(name, Placeholders()); near != "" {
		return message + "; did you mean " + near + "?"
	}
	return message + "; there are " + strings.Join(Placeholders(), ", ")
}

// wrongAt names the place of a mistake as people count it, from 1.
func wrongAt(field, template string, at int, message string) error {
	before := template[:at]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndex(before, "\n")+1:]) + 1
	return Invalid(field, "line %d, column %d: %s", line, column, message)
}

// Render writes the signature of a user who is in a group. Neither the template
// nor a name can become anything but text where it goes to.
func (s Signature) Render(u *User, g *Group, to SignatureContext) string {
	var b strings.Builder
	for _, p := range s.parts {
		if p.value == nil {
			b.WriteString(p.text)
			continue
		}
		b.WriteString(oneLine(p.value(u, g)))
	}
	text := strings.ReplaceAll(strings.ReplaceAll(b.String(), "\r\n", "\n"), "\r", "\n")
	switch to {
	case SignatureHTML:
		return strings.ReplaceAll(html.EscapeString(text), "\n", "<br>\n")
	case SignatureHeader:
		return mime.QEncoding.Encode("utf-8", strings.Join(strings.Fields(oneLine(text)), " "))
	default:
		return text
	}
}

// oneLine puts a blank in the place of all that could end a line or hide.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, text)
}

// ValidSignatureContext refuses everything but the three places.
func ValidSignatureContext(field string, c SignatureContext) error {
	switch c {
	case SignatureText, SignatureHTML, SignatureHeader:
		return nil
	}
	return Invalid(field, "%q is none of text, html, header", string(c))
}

// FirstGroup gives the code of the group that gives a user his signature and
// address: the first in his order that he is in now, or "".
func (u *User) FirstGroup(now time.Time) string {
	for _, l := range u.Groups {
		if l.Validity.At(now) {
			return l.To
		}
	}
	return ""
}
