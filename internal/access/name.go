package access

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxName is the longest name in bytes. The columns of casbin_rule hold 100
// characters; wider ones make MariaDB hash its unique key and read whole tables.
const MaxName = 100

// MaxID is the longest id or code in bytes: rules hold it behind a two-byte
// prefix such as "u:".
const MaxID = MaxName - 2

// ValidName checks what every name must keep: 1 to MaxName bytes of UTF-8 in
// normal form C, no control, format or bidirectional characters, no blank at
// either edge. Names are compared as bytes, so forms that merely look the same
// must not exist.
func ValidName(field, name string) error { return validText(field, name, MaxName) }

// ValidID checks an id that business systems may choose: a name of at most
// MaxID bytes without comma. Casbin identifies a rule by its fields joined with
// commas, so a comma would make two different rules one.
func ValidID(field, id string) error {
	if err := validText(field, id, MaxID); err != nil {
		return err
	}
	if strings.ContainsRune(id, ',') {
		return Invalid(field, "must not hold a comma")
	}
	return nil
}

// ValidCode checks a symbolic code: lower-case letters, digits, "-" and "_",
// beginning with a letter or digit, at most MaxID bytes, so that it can stand
// in a URL as it is.
func ValidCode(field, code string) error {
	if code == "" {
		return Invalid(field, "is required")
	}
	if len(code) > MaxID {
		return Invalid(field, "is %d bytes long; %d is the limit", len(code), MaxID)
	}
	for i, c := range []byte(code) {
		if !isLower(c) && !isDigit(c) && (i == 0 || (c != '-' && c != '_')) {
			return Invalid(field, "%q is not a code: use lower-case letters, digits, - and _, beginning with a letter or digit", code)
		}
	}
	return nil
}

func validText(field, s string, limit int) error {
	switch {
	case s == "":
		return Invalid(field, "is required")
	case len(s) > limit:
		return Invalid(field, "is %d bytes long; %d is the limit", len(s), limit)
	case isPlain(s): // as nearly all are; what follows takes ten times as long
		return nil
	case !utf8.ValidString(s):
		return Invalid(field, "is not valid UTF-8")
	case !norm.NFC.IsNormalString(s):
		return Invalid(field, "is not in Unicode normal form C")
	}
	for _, r := range s {
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			return Invalid(field, "holds the character %U, which cannot be seen", r)
		}
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return Invalid(field, "begins or ends with a blank")
	}
	return nil
}

// ValidProse checks a text of several lines for people, such as a reason: valid
// UTF-8 without what a terminal would obey or an eye could be led astray by.
func ValidProse(field, s string) error {
	if !utf8.ValidString(s) {
		return Invalid(field, "is not valid UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			return Invalid(field, "holds the character %U, which cannot be seen", r)
		}
	}
	return nil
}

// isPlain: nothing but visible ASCII, and blanks between.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s[0] != ' ' && s[len(s)-1] != ' '
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
