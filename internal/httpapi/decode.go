package httpapi

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// The limits of a body. They hold for every body, whatever it is for.
const (
	maxBody       = 1 << 20  // bytes
	maxPolicyBody = 16 << 20 // bytes, where a policy is uploaded
	maxDepth      = 32       // objects and arrays within each other
	maxMembers    = 1000     // members of one object
	maxIDBytes    = 256      // of a string that names something
	maxBatch      = 100      // questions in one request
	maxExact      = 1 << 53  // from here on, integers do not survive IEEE 754
)

// reader is the one decoder of bodies. encoding/json lets a later "Subject", a
// second "subject" or a "ſubject" overwrite the first; here whatever two
// programs could read differently is refused: duplicate members, members that
// differ from a known one only in case, invalid UTF-8, lone surrogates, numbers
// that lose digits, anything behind the end.
//
// Its methods return an error where the body as a whole must be refused. What
// is merely of the wrong shape is noted in wrong, and reading goes on behind
// it, so that one bad question of a list does not spoil the others.
type reader struct {
	dec   *jsontext.Decoder
	src   bytes.Buffer
	body  []byte
	whole string // the body once more: strings are cut out of it, not copied
	out   []byte // where the answer is put together
	line  []byte // where a rule is put together
	wrong error  // the first wrong shape, of kind ErrInvalid

	questions []question       // of a list, in its order
	asks      []access.Request // those of them that can be asked
	fresh     api.Consistency  // what they ask for, all together
}

var readers = sync.Pool{New: func() any {
	return &reader{dec: jsontext.NewDecoder(strings.NewReader("")), body: make([]byte, 0, 4096), out: make([]byte, 0, 1024)}
}}

const keptBody = 64 << 10 // larger buffers are not kept for later requests

func (r *reader) release() {
	if cap(r.body) > keptBody || cap(r.out) > keptBody {
		return
	}
	r.whole, r.wrong = "", nil
	clear(r.questions)
	clear(r.asks)
	readers.Put(r)
}

// readBody takes in the whole body, at most limit bytes.
func (r *reader) readBody(req *http.Request, limit int64) error {
	if req.ContentLength > limit {
		return tooLarge(limit)
	}
	r.body = r.body[:0]
	for {
		if len(r.body) == cap(r.body) {
			r.body = append(r.body, 0)[:len(r.body)]
		}
		n, err := req.Body.Read(r.body[len(r.body):cap(r.body)])
		r.body = r.body[:len(r.body)+n]
		if int64(len(r.body)) > limit {
			return tooLarge(limit)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &access.Error{Kind: errJSON, Message: "the body could not be read to its end"}
		}
	}
}

func tooLarge(limit int64) error {
	e := &access.Error{Kind: errTooLarge}
	e.Message = "the body is larger than " + itoa(limit) + " bytes"
	return e
}

// decode reads the body with read, and nothing may stand behind.
func (r *reader) decode(read func() error) error {
	r.src = *bytes.NewBuffer(r.body)
	r.dec.Reset(&r.src)
	r.whole, r.wrong = string(r.body), nil
	if len(bytes.TrimLeft(r.body, " \t\r\n")) == 0 {
		return strict("the body is empty")
	}
	if err := read(); err != nil {
		return said(err)
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return strict("something stands behind the end of the JSON value")
	}
	return nil
}

func strict(message string) error { return &access.Error{Kind: errJSON, Message: message} }

// said puts a mistake found by the JSON library into our words.
func said(err error) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return err
	}
	where := " near byte " + itoa(syntax.ByteOffset)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return &access.Error{Kind: errJSON, Field: fieldOf(syntax.JSONPointer), Message: "the member is there twice" + where}
	}
	return strict("the body is not valid JSON" + where)
}

// fieldOf writes /subject/id as subject.id.
func fieldOf(p jsontext.Pointer) string {
	var parts []string
	for token := range p.Tokens() {
		parts = append(parts, token)
	}
	return strings.Join(parts, ".")
}

// names are the members of an object that mean something to us.
type names struct {
	known  []string
	closed bool // other members are refused rather than ignored
}

// object reads an object and calls member for each known member, which must
// read its value.
func (r *reader) object(field string, n *names, member func(name string) error) error {
	if ok, err := r.begin(field, '{', "an object"); !ok {
		return err
	}
	for count := 1; r.dec.PeekKind() != '}'; count++ {
		name, known, err := r.name(n, count)
		if err != nil {
			return err
		}
		switch {
		case known:
			err = member(name)
		case n.closed:
			err = unknownMember(name, n.known)
		default:
			err = r.skip()
		}
		if err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// begin enters an object or array. It reports false when the value is of
// another kind, which is noted, or cannot be read at all.
func (r *reader) begin(field string, want jsontext.Kind, what string) (bool, error) {
	if r.dec.PeekKind() != want {
		return false, r.mismatch(field, what)
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return false, err
	}
	if r.dec.StackDepth() > maxDepth {
		return false, strict("objects and arrays are nested deeper than " + itoa(maxDepth))
	}
	return true, nil
}

// name reads the name of the count-th member of an object. A known name is
// given as the string in n, which costs no allocation.
func (r *reader) name(n *names, count int) (name string, known bool, err error) {
	quoted, err := r.memberName(count)
	if err != nil {
		return "", false, err
	}
	raw, err := unquote(quoted)
	if err != nil {
		return "", false, err
	}
	for _, k := range n.known {
		if string(raw) == k {
			return k, true, nil
		}
	}
	for _, k := range n.known {
		if looksLike(string(raw), k) {
			return "", false, &access.Error{Kind: errJSON, Field: string(raw), Message: "must be written " + k}
		}
	}
	if !n.closed {
		return "", false, nil
	}
	return string(raw), false, nil
}

// memberName gives a name as it is written; it holds until the next reading.
func (r *reader) memberName(count int) ([]byte, error) {
	if count > maxMembers {
		return nil, strict("an object has more than " + itoa(maxMembers) + " members")
	}
	return r.dec.ReadValue()
}

// unquote gives the text of a JSON string that is known to be valid.
func unquote(raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	return jsontext.AppendUnquote(nil, raw)
}

// looksLike tells whether some program could take a for b: they are equal but
// for case, in all of Unicode, and for the marks between words.
func looksLike(a, b string) bool {
	for {
		x, n := nextLetter(a)
		y, m := nextLetter(b)
		if x != y {
			return false
		}
		if n == 0 {
			return true
		}
		a, b = a[n:], b[m:]
	}
}

// nextLetter gives the first letter of s that is no mark, in a form that is
// the same for all its cases, and how many bytes it takes; 0 at the end.
func nextLetter(s string) (rune, int) {
	for i, c := range s {
		if c == '_' || c == '-' {
			continue
		}
		least := c
		for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least, i + utf8.RuneLen(c)
	}
	return -1, 0
}

func unknownMember(name string, known []string) error {
	message := "is not a member that is known here"
	if near := access.Nearest(name, known); near != "" {
		message += "; did you mean " + near + "?"
	}
	return access.Invalid(cmp.Or(name, `""`), "%s", message)
}

// mismatch notes a value of the wrong kind and reads past it.
func (r *reader) mismatch(field, what string) error {
	if r.dec.PeekKind() == 0 {
		_, err := r.dec.ReadToken() // says what is wrong
		return err
	}
	if field == "" && r.dec.StackDepth() == 0 {
		field = "body"
	}
	r.note(access.Invalid(field, "must be %s", what))
	return r.skip()
}

func (r *reader) note(err error) {
	if r.wrong == nil {
		r.wrong = err
	}
}

// text reads a string that names something.
func (r *reader) text(field string, to *string) error { return r.textUpTo(field, maxIDBytes, to) }

// textUpTo reads a string of at most limit bytes.
func (r *reader) textUpTo(field string, limit int, to *string) error {
	if r.dec.PeekKind() != '"' {
		return r.mismatch(field, "a string")
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return err
	}
	text, err := r.cut(raw)
	if err != nil {
		return err
	}
	if len(text) > limit {
		r.note(access.Invalid(field, "is %d bytes long; %d is the limit", len(text), limit))
		return nil
	}
	*to = text
	return nil
}

// prose reads a text for people: a reason or a description.
func (r *reader) prose(field string, to *string) error {
	if err := r.textUpTo(field, maxDescription, to); err != nil {
		return err
	}
	if err := access.ValidProse(field, *to); err != nil {
		r.note(err)
	}
	return nil
}

// cut gives the text of the JSON string that was just read. It costs no
// allocation unless there are escapes in it.
func (r *reader) cut(raw []byte) (string, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		end := int(r.dec.InputOffset())
		return r.whole[end-len(raw)+1 : end-1], nil
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return string(text), err
}

// flag reads a boolean.
func (r *reader) flag(field string, to *bool) error {
	if k := r.dec.PeekKind(); k != 't' && k != 'f' {
		return r.mismatch(field, "true or false")
	}
	token, err := r.dec.ReadToken()
	*to = err == nil && token.Bool()
	return err
}

// integer reads a whole number; 1e3 and 1.0 are not accepted.
func (r *reader) integer(field string, to *int64) error {
	if r.dec.PeekKind() != '0' {
		return r.mismatch(field, "an integer")
	}
	token, err := r.dec.ReadToken()
	if err != nil {
		return err
	}
	n, err := token.Int()
	if err != nil {
		r.note(access.Invalid(field, "must be an integer"))
	}
	*to = n
	return nil
}

// list reads an array and calls item for each element, which must read it.
func (r *reader) list(field string, item func(i int) error) error {
	if ok, err := r.begin(field, '[', "an array"); !ok {
		return err
	}
	for i := 0; r.dec.PeekKind() != ']'; i++ {
		if err := item(i); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// listUpTo is list for arrays that may have so many elements.
func (r *reader) listUpTo(field string, most int, item func(i int) error) error {
	return r.list(field, func(i int) error {
		if i == most {
			r.note(access.Invalid(field, "has more than %d elements", most))
		}
		return item(i)
	})
}

// attributes reads an object of free form.
func (r *reader) attributes(field string, to *map[string]any) error {
	if r.dec.PeekKind() != '{' {
		return r.mismatch(field, "an object")
	}
	v, err := r.any()
	if err != nil {
		return err
	}
	*to, _ = v.(map[string]any)
	return nil
}

// any reads a value of free form as encoding/json would: nil, bool, float64,
// string, []any or map[string]any.
func (r *reader) any() (any, error) {
	switch kind := r.dec.PeekKind(); kind {
	case '{':
		return r.anyObject()
	case '[':
		items := []any{}
		err := r.list("", func(int) error {
			v, err := r.any()
			items = append(items, v)
			return err
		})
		return items, err
	case '"':
		raw, err := r.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		return r.cut(raw)
	case '0':
		return r.number()
	default:
		token, err := r.dec.ReadToken()
		if err != nil || kind == 'n' {
			return nil, err
		}
		return token.Bool(), nil
	}
}

func (r *reader) anyObject() (any, error) {
	if _, err := r.begin("", '{', ""); err != nil {
		return nil, err
	}
	object := map[string]any{}
	for count := 1; r.dec.PeekKind() != '}'; count++ {
		raw, err := r.memberName(count)
		if err != nil {
			return nil, err
		}
		key, err := r.cut(raw)
		if err != nil {
			return nil, err
		}
		if object[key], err = r.any(); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.ReadToken()
	return object, err
}

// number refuses what would become another number on the way: two ids that
// differ in a digit beyond the 53 bits of a double must not become one.
func (r *reader) number() (any, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	f, err := parseFloat(raw)
	if err != nil || math.Abs(f) >= maxExact && !bytes.ContainsAny(raw, ".eE") {
		return nil, strict("the number " + shorten(raw) + " cannot be held exactly; write it as a string")
	}
	return f, nil
}

// skip reads past a value of any form, within the same limits.
func (r *reader) skip() error {
	switch r.dec.PeekKind() {
	case '{':
		return r.object("", &names{}, nil)
	case '[':
		return r.list("", func(int) error { return r.skip() })
	default:
		_, err := r.dec.ReadToken()
		return err
	}
}
