package cache_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/cache"
)

var until = time.Date(2031, 2, 3, 4, 5, 6, 789_000_000, time.UTC)

func decision() access.Decision {
	return access.Decision{
		Allowed: true, Reason: access.ReasonGrantedBy, Detail: "d", Action: "show", Revision: 12, ValidUntil: until,
		Rule: &access.Rule{
			Type: "p", Values: []string{"g:sales", "*", "System.Orders", "10", "allow", "-"}, Place: 77,
			Validity: access.Validity{From: until.Add(-time.Hour), Until: until},
			Origin:   access.Origin{File: "groups/sales.yaml", Line: 3, Column: 5},
		},
	}
}

// TestDecision_everyFieldIsKept fills every field, also those that somebody will
// add, and expects each to come back.
func TestDecision_everyFieldIsKept(t *testing.T) {
	whole := decision()
	if name := blank(reflect.ValueOf(whole)); name != "" {
		t.Fatalf("field %s is new: see that it is kept, and fill it here", name)
	}
	got, ok := cache.DecodeDecision(cache.EncodeDecision(whole))
	if !ok || !reflect.DeepEqual(got, whole) {
		t.Errorf("got %+v, %v\nwant %+v", got, ok, whole)
	}
	empty, ok := cache.DecodeDecision(cache.EncodeDecision(access.Decision{}))
	if !ok || !reflect.DeepEqual(empty, access.Decision{}) {
		t.Errorf("nothing became %+v, %v", empty, ok)
	}
}

// blank names a field that has its zero value.
func blank(v reflect.Value) string {
	if _, isTime := v.Interface().(time.Time); isTime || v.Kind() != reflect.Struct {
		return ""
	}
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if f.IsZero() {
			return name
		}
		if inner := blank(reflect.Indirect(f)); inner != "" {
			return name + "." + inner
		}
	}
	return ""
}

func TestMenuAndHolders_areKept(t *testing.T) {
	menu := access.Menu{
		Sections: []access.Allowed{{Section: "A", Actions: []access.Action{"show", "send"}}, {Section: "B"}},
		Revision: 4, ValidUntil: until,
	}
	if got, ok := cache.DecodeMenu(cache.EncodeMenu(menu)); !ok || !reflect.DeepEqual(got, menu) {
		t.Errorf("got %+v, %v", got, ok)
	}
	holders := access.Holders{
		Subjects: []access.Subject{access.Anonymous, {Kind: access.KindApplication, ID: "shop"}}, More: true, Revision: 4, ValidUntil: until,
	}
	if got, ok := cache.DecodeHolders(cache.EncodeHolders(holders)); !ok || !reflect.DeepEqual(got, holders) {
		t.Errorf("got %+v, %v", got, ok)
	}
}

// TestMoments_ofAllCenturies: the time an answer holds until is kept exactly,
// in whatever zone and century.
func TestMoments_ofAllCenturies(t *testing.T) {
	for _, at := range []time.Time{
		{},
		time.Unix(0, 0), time.Unix(-1, 999_999_999), until.In(time.FixedZone("east", 5*3600)),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
	} {
		got, ok := cache.DecodeDecision(cache.EncodeDecision(access.Decision{ValidUntil: at}))
		if !ok || !got.ValidUntil.Equal(at) || got.ValidUntil.IsZero() != at.IsZero() {
			t.Errorf("%v became %v, %v", at, got.ValidUntil, ok)
		}
	}
}

// FuzzDecode: any bytes are an answer or nothing, and what is an answer is
// written the way it was read.
func FuzzDecode(f *testing.F) {
	f.Add(cache.EncodeDecision(decision()))
	f.Add(cache.EncodeMenu(access.Menu{Sections: []access.Allowed{{Section: "A", Actions: []access.Action{"show"}}}}))
	f.Add(cache.EncodeHolders(access.Holders{Subjects: []access.Subject{access.Anonymous}}))
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, body string) {
		roundTrip(t, body, cache.EncodeDecision, cache.DecodeDecision)
		roundTrip(t, body, cache.EncodeMenu, cache.DecodeMenu)
		roundTrip(t, body, cache.EncodeHolders, cache.DecodeHolders)
	})
}

func roundTrip[T any](t *testing.T, body string, encode func(T) string, decode func(string) (T, bool)) {
	t.Helper()
	read, ok := decode(body)
	if !ok {
		return
	}
	if again, ok := decode(encode(read)); !ok || !reflect.DeepEqual(again, read) {
		t.Errorf("%+v became %+v, %v", read, again, ok)
	}
}

const secret = "0123456789abcdef0123456789abcdef"

// FuzzOpen: nothing but what seal wrote for a place can be read there.
func FuzzOpen(f *testing.F) {
	place := cache.Place{1, 2, 3}
	real := cache.Seal(secret, place, until, time.Time{}, "body")
	f.Add(real)
	f.Add(real[1:])
	f.Add("")
	f.Fuzz(func(t *testing.T, found string) {
		if _, ok := cache.Open(secret, place, found); ok && found != real {
			t.Errorf("%q was read", found)
		}
	})
}

func TestOpen_refuses(t *testing.T) {
	place, other := cache.Place{1}, cache.Place{2}
	real := cache.Seal(secret, place, until, time.Time{}, "body")
	if body, ok := cache.Open(secret, place, real); !ok || body != "body" {
		t.Fatalf("the real value is refused: %q", body)
	}
	if _, ok := cache.Open(secret, other, real); ok {
		t.Error("a value of another place is read")
	}
	if _, ok := cache.Open("another secret, as long as the one", place, real); ok {
		t.Error("a value with another secret is read")
	}
	for i := range len(real) * 8 {
		edited := []byte(real)
		edited[i/8] ^= 1 << (i % 8)
		if _, ok := cache.Open(secret, place, string(edited)); ok {
			t.Errorf("bit %d was changed, and it is read", i)
		}
	}
	for n := range len(real) {
		if _, ok := cache.Open(secret, place, real[:n]); ok {
			t.Errorf("the first %d bytes are read", n)
		}
	}
}
