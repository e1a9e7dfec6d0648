package cache_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/cache"
)

var stamp = access.Stamp{Tenant: "default", Epoch: "e", Policy: 7, Subject: 3, Engine: "native-1"}

func question() access.Request {
	return access.Request{
		Subject: access.Subject{Kind: access.KindUser, ID: "sales-1"}, Actions: []access.Action{"show"},
		Section: "System.Orders", Scope: "store:eu-1", Entity: access.Entity{Type: "order", ID: "17"},
		SubjectAttributes: map[string]any{"level": 1.0}, ResourceAttributes: map[string]any{"amount": 10.0},
		ActionAttributes: map[string]any{"bulk": true}, Context: map[string]any{"ip": "10.0.0.1"},
	}
}

func keyOf(t *testing.T, at access.Stamp, r access.Request) cache.Place {
	t.Helper()
	k, ok := cache.Key("secret", at, &r)
	if !ok {
		t.Fatalf("%+v has no key", r)
	}
	return k
}

// TestKey_holdsEverything changes every field of the stamp and of the question
// in turn, also those that somebody will add: each must change the key.
func TestKey_holdsEverything(t *testing.T) {
	was := keyOf(t, stamp, question())
	t.Run("stamp", func(t *testing.T) {
		for i := range reflect.TypeFor[access.Stamp]().NumField() {
			other := stamp
			name := change(t, &other, i)
			if keyOf(t, other, question()) == was {
				t.Errorf("%s is not in the key", name)
			}
		}
	})
	t.Run("request", func(t *testing.T) {
		for i := range reflect.TypeFor[access.Request]().NumField() {
			other := question()
			name := change(t, &other, i)
			if keyOf(t, stamp, other) == was {
				t.Errorf("%s is not in the key", name)
			}
		}
	})
	if k, _ := cache.Key("another", stamp, new(question())); k == was {
		t.Error("the secret is not in the key")
	}
}

// change gives field i of a struct another value.
func change(t *testing.T, of any, i int) string {
	t.Helper()
	v := reflect.ValueOf(of).Elem()
	f, name := v.Field(i), v.Type().Field(i).Name
	switch f.Interface().(type) {
	case access.Subject:
		f.Set(reflect.ValueOf(access.Subject{Kind: access.KindApplication, ID: "sales-1"}))
	case access.Entity:
		f.Set(reflect.ValueOf(access.Entity{Type: "order", ID: "1"}))
	case []access.Action:
		f.Set(reflect.ValueOf([]access.Action{"show", "update"}))
	case map[string]any:
		f.Set(reflect.ValueOf(map[string]any{"level": 2.0}))
	case []any:
		f.Set(reflect.ValueOf([]any{"sales-1"}))
	default:
		switch f.Kind() {
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Uint64:
			f.SetUint(f.Uint() + 1)
		default:
			t.Fatalf("field %s is of a new type, %s: see that it is in the key, and add it here", name, f.Type())
		}
	}
	return name
}

// TestKey_typesKeptApart (the cause of four advisories of other services): what
// a condition can tell apart has keys of its own.
func TestKey_typesKeptApart(t *testing.T) {
	var nilList []any
	var nilMap map[string]any
	seen := map[cache.Place]any{}
	for _, v := range []any{
		nil, false, true, "", "1", "true", "null", 0, 1, int64(1), uint64(1), 1.0, 0.0, math.Copysign(0, -1), json.Number("1"), json.Number("1.0"),
		nilList,
		[]any{},
		[]any{nil},
		[]any{"a", "b"},
		[]any{"a,b"},
		[]any{"ab"},
		[]any{[]any{"a"}, "b"},
		[]any{"a", []any{"b"}},
		[]any{[]any{"a", "b"}},
		nilMap,
		map[string]any{},
		map[string]any{"a": nil},
		map[string]any{"a": "b"},
		map[string]any{"a": map[string]any{}},
		[]any{"a", 1.0},
		[]any{"a", "1"},
	} {
		r := question()
		r.Context = map[string]any{"v": v}
		k := keyOf(t, stamp, r)
		if other, ok := seen[k]; ok {
			t.Errorf("%#v and %#v have one key", v, other)
		}
		seen[k] = v
	}
	r := question()
	r.Context = map[string]any{}
	without := keyOf(t, stamp, r)
	if _, ok := seen[without]; ok {
		t.Error("a missing name and one with a value have one key")
	}
	r.Context = nil
	if keyOf(t, stamp, r) == without {
		t.Error("no context and an empty one have one key")
	}
}

// TestKey_strange: what has no encoding has no key, instead of one that others share.
func TestKey_strange(t *testing.T) {
	deep := []any{}
	for range 100 {
		deep = []any{deep}
	}
	endless := map[string]any{}
	endless["self"] = endless
	for name, v := range map[string]any{"struct": struct{}{}, "deep": deep, "endless": endless, "named": access.Scope("*"), "channel": make(chan int)} {
		r := question()
		r.Context = map[string]any{"v": v}
		if _, ok := cache.Key("secret", stamp, &r); ok {
			t.Errorf("%s has a key", name)
		}
	}
}

// FuzzKey_injective makes two questions out of bytes: equal ones have equal
// encodings, whatever the order of their maps, and different ones never.
func FuzzKey_injective(f *testing.F) {
	f.Add([]byte("a,b"), []byte("a\x00b"))
	f.Add([]byte{}, []byte{0})
	f.Add([]byte("\x07\x02\x01a\x03\x01b"), []byte("\x07\x03\x01a\x02\x01b"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		atA, ra := made(a)
		atB, rb := made(b)
		ea, okA := cache.EncodeQuestion(atA, ra)
		eb, okB := cache.EncodeQuestion(atB, rb)
		if !okA || !okB {
			t.Fatal("a plain question has no encoding")
		}
		same := reflect.DeepEqual(ra, rb) && atA == atB
		if got := string(ea) == string(eb); got != same {
			t.Errorf("equal: %v, equal encodings: %v\n%+v %#v\n%+v %#v", same, got, atA, ra, atB, rb)
		}
		if again, _ := cache.EncodeQuestion(atA, ra); string(again) != string(ea) {
			t.Error("the encoding is not stable")
		}
	})
}

// made reads a question out of bytes. Of floats it makes only such as are equal
// to nothing but themselves.
func made(b []byte) (access.Stamp, *access.Request) {
	m := making{b}
	at := access.Stamp{Tenant: m.text(), Epoch: m.text(), Policy: access.Revision(m.octet()), Subject: access.Revision(m.octet()), Engine: m.text()}
	r := &access.Request{
		Subject: access.Subject{Kind: access.Kind(m.octet()), ID: m.text()}, Section: access.Section(m.text()),
		Scope: access.Scope(m.text()), Entity: access.Entity{Type: m.text(), ID: m.text()}, RawSet: m.text(),
	}
	r.Actions = []access.Action{}
	for range m.octet() % 4 {
		r.Actions = append(r.Actions, access.Action(m.text()))
	}
	for _, field := range []*map[string]any{&r.Context, &r.SubjectAttributes, &r.ResourceAttributes, &r.ActionAttributes} {
		if v, ok := m.value(3).(map[string]any); ok {
			*field = v
		}
	}
	if v, ok := m.value(3).([]any); ok {
		r.Raw = v
	}
	return at, r
}

type making struct{ rest []byte }

func (m *making) octet() byte {
	if len(m.rest) == 0 {
		return 0
	}
	b := m.rest[0]
	m.rest = m.rest[1:]
	return b
}

func (m *making) text() string {
	n := min(int(m.octet()%8), len(m.rest))
	s := string(m.rest[:n])
	m.rest = m.rest[n:]
	return s
}

func (m *making) value(depth int) any {
	if depth == 0 {
		return m.text()
	}
	switch m.octet() % 11 {
	case 0:
		return nil
	case 1:
		return m.octet()%2 == 0
	case 2:
		return json.Number(m.text())
	case 3:
		return 1 / float64(1+uint(m.octet()))
	case 4:
		return int(m.octet())
	case 5:
		return int64(binary.LittleEndian.Uint16([]byte{m.octet(), m.octet()}))
	case 6:
		return uint64(m.octet())
	case 7, 8:
		members := map[string]any{}
		for range m.octet() % 4 {
			members[m.text()] = m.value(depth - 1)
		}
		return members
	case 9:
		list := []any{}
		for range m.octet() % 4 {
			list = append(list, m.value(depth-1))
		}
		return list
	}
	return m.text()
}
