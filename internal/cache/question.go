package cache

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/bailiwick/bailiwick/internal/access"
)

// key finds an answer. It is a keyed hash of everything that the answer depends
// on, so that whoever reads a shared cache learns nothing of the questions.
type key [sha256.Size]byte

// sort keeps questions of different sorts apart.
type sort byte

const (
	sortDecision sort = 'd'
	sortActions  sort = 'a'
	sortSections sort = 's'
	sortSubjects sort = 'u'
)

// encodingVersion changes with the encoding of questions and with that of
// answers: both are only ever read by who wrote the same version.
const encodingVersion = 1

// maxNesting bounds objects and lists within each other. What is deeper, or
// holds a type that has no encoding, is answered and not kept.
const maxNesting = 64

// keptEncoding is the largest buffer that is used again, in bytes.
const keptEncoding = 64 << 10

// keys makes keys of questions.
type keys struct{ pool sync.Pool }

type keying struct {
	mac hash.Hash
	encoding
}

func newKeys(secret []byte) *keys {
	return &keys{pool: sync.Pool{New: func() any { return &keying{mac: hmac.New(sha256.New, secret)} }}}
}

// of gives the key of a question under a stamp, and false where the question
// holds what cannot be told from everything else.
func (ks *keys) of(s sort, at access.Stamp, r *access.Request, more ...string) (key, bool) {
	k := ks.pool.Get().(*keying) //nolint:forcetypeassert // nothing else is in this pool
	if cap(k.bytes) <= keptEncoding {
		defer ks.pool.Put(k)
	}
	k.encoding = encoding{bytes: k.bytes[:0]}
	k.question(s, at, r, more)
	if k.strange {
		return key{}, false
	}
	k.mac.Reset()
	_, _ = k.mac.Write(k.bytes) // never fails
	var sum key
	k.mac.Sum(sum[:0])
	return sum, true
}

// encoding puts values into bytes such that different values never give the
// same bytes: every value begins with its type, and texts, lists and objects
// with their length. Nothing is joined.
type encoding struct {
	bytes   []byte
	strange bool // something has no encoding
}

func (e *encoding) question(s sort, at access.Stamp, r *access.Request, more []string) {
	e.bytes = append(e.bytes, encodingVersion, byte(s))
	e.text(at.Tenant)
	e.text(at.Epoch)
	e.number(uint64(at.Policy))
	e.number(uint64(at.Subject))
	e.text(at.Engine)
	e.request(r)
	e.texts(more)
}

func (e *encoding) request(r *access.Request) {
	e.bytes = append(e.bytes, byte(r.Subject.Kind))
	e.text(r.Subject.ID)
	e.number(uint64(len(r.Actions)))
	for _, a := range r.Actions {
		e.text(string(a))
	}
	e.text(string(r.Section))
	e.text(string(r.Scope))
	e.text(r.Entity.Type)
	e.text(r.Entity.ID)
	e.value(r.SubjectAttributes, 0)
	e.value(r.ResourceAttributes, 0)
	e.value(r.ActionAttributes, 0)
	e.value(r.Context, 0)
	e.value(r.Raw, 0)
	e.text(r.RawSet)
}

func (e *encoding) number(n uint64) { e.bytes = binary.AppendUvarint(e.bytes, n) }

func (e *encoding) text(s string) {
	e.number(uint64(len(s)))
	e.bytes = append(e.bytes, s...)
}

func (e *encoding) texts(list []string) {
	e.number(uint64(len(list)))
	for _, s := range list {
		e.text(s)
	}
}

// value writes one value of an attribute. 1, 1.0 and "1" differ, and so do nil,
// an empty object and one that is not there.
func (e *encoding) value(v any, depth int) {
	if e.strange = e.strange || depth > maxNesting; e.strange {
		return
	}
	switch v := v.(type) {
	case nil:
		e.tag('n')
	case bool:
		e.flag(v)
	case string:
		e.tag('s')
		e.text(v)
	case json.Number:
		e.tag('j')
		e.text(string(v))
	case float64:
		e.word('f', math.Float64bits(v))
	case int:
		e.word('i', uint64(v)) //nolint:gosec // the bits are meant
	case int64:
		e.word('l', uint64(v)) //nolint:gosec // the bits are meant
	case uint64:
		e.word('u', v)
	case []any:
		e.list(v, depth)
	case map[string]any:
		e.object(v, depth)
	default:
		e.strange = true
	}
}

func (e *encoding) tag(t byte) { e.bytes = append(e.bytes, t) }

func (e *encoding) flag(b bool) {
	if b {
		e.tag('T')
		return
	}
	e.tag('F')
}

func (e *encoding) word(t byte, bits uint64) {
	e.tag(t)
	e.bytes = binary.BigEndian.AppendUint64(e.bytes, bits)
}

func (e *encoding) list(list []any, depth int) {
	if list == nil {
		e.tag('z')
		return
	}
	e.tag('[')
	e.number(uint64(len(list)))
	for _, v := range list {
		e.value(v, depth+1)
	}
}

// object writes the members in the order of their names' bytes.
func (e *encoding) object(members map[string]any, depth int) {
	if members == nil {
		e.tag('Z')
		return
	}
	e.tag('{')
	e.number(uint64(len(members)))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		e.text(name)
		e.value(members[name], depth+1)
	}
}
