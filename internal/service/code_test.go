package service_test

import (
	"bytes"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/service"
)

// The examples of RFC 6238, appendix B, as far as six digits go.
func TestHalfMinute_rfc(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		step, ok, err := service.HalfMinute(secret, code, time.Unix(at, 0))
		if err != nil || !ok || step != at/30 {
			t.Errorf("at %d: %s is of half minute %d, %v, %v", at, code, step, ok, err)
		}
	}
}

// One half minute before and after the present one count, and no further ones.
func TestHalfMinute_skew(t *testing.T) {
	secret, now := []byte("12345678901234567890"), time.Unix(1111111111, 0)
	for by, want := range map[int64]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		code, err := service.CodeOf(secret, now.Unix()/30+by)
		if err != nil {
			t.Fatal(err)
		}
		step, ok, err := service.HalfMinute(secret, code, now)
		if err != nil || ok != want || ok && step != now.Unix()/30+by {
			t.Errorf("%d half minutes off: %d, %v, %v", by, step, ok, err)
		}
	}
	for _, wrong := range []string{"", "05047", "0504711", "05047x", "000000"} {
		if _, ok, err := service.HalfMinute(secret, wrong, now); ok || err != nil {
			t.Errorf("%q is a code: %v", wrong, err)
		}
	}
}

func TestEnrolment(t *testing.T) {
	e, err := service.EnrolmentOf([]byte("12345678901234567890"), "Bailiwick default", "user-1@example.com")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(e.URI)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Bailiwick default:user-1@example.com" {
		t.Errorf("%s, %v", e.URI, err)
	}
	if q := u.Query(); q.Get("secret") != e.Key || e.Key != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" || q.Get("period") != "30" || q.Get("digits") != "6" {
		t.Errorf("%v", u.Query())
	}
	picture, err := png.Decode(bytes.NewReader(e.Image))
	if err != nil || picture.Bounds().Dx() != 256 {
		t.Errorf("%v", err)
	}
}

func TestNewRecovery(t *testing.T) {
	texts, hashes := service.NewRecovery()
	seen := map[string]bool{}
	for i, text := range texts {
		if seen[text] = true; len(text) != 19 || service.RecoveryHash(text) != hashes[i] {
			t.Errorf("%q", text)
		}
		if other := strings.ToUpper(strings.ReplaceAll(text, "-", " ")); service.RecoveryHash(other) != hashes[i] {
			t.Errorf("%q is not %q", other, text)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d codes", len(seen))
	}
}

// What is sealed is worthless under another secret, for another purpose, for
// another owner, and when any bit of it was changed.
func TestSealer(t *testing.T) {
	secret := strings.Repeat("s", 32)
	sealer := func(secret, purpose string) *service.Sealer {
		s, err := service.NewSealer(secret, purpose)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := sealer(secret, "codes")
	sealed, err := s.Seal("one", []byte("text"))
	if err != nil || bytes.Contains(sealed, []byte("text")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	if text, err := sealer(secret, "codes").Open("one", sealed); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if again, _ := s.Seal("one", []byte("text")); bytes.Equal(again, sealed) {
		t.Error("the same text is sealed to the same bytes")
	}
	for name, open := range map[string]func() ([]byte, error){
		"another owner":   func() ([]byte, error) { return s.Open("two", sealed) },
		"another secret":  func() ([]byte, error) { return sealer(strings.Repeat("t", 32), "codes").Open("one", sealed) },
		"another purpose": func() ([]byte, error) { return sealer(secret, "other").Open("one", sealed) },
		"nothing":         func() ([]byte, error) { return s.Open("one", nil) },
		"no secret":       func() ([]byte, error) { return (*service.Sealer)(nil).Open("one", sealed) },
	} {
		if text, err := open(); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if text, err := s.Open("one", changed); err == nil {
			t.Errorf("with byte %d changed: %q", i, text)
		}
	}
	if _, err := service.NewSealer(secret[1:], "codes"); err == nil {
		t.Error("a short secret does")
	}
	if _, err := (*service.Sealer)(nil).Seal("one", nil); err == nil {
		t.Error("without a secret something is sealed")
	}
}
