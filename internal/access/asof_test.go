package access_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

func TestParseAsOf(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]access.AsOf{
		"": {}, "1": {Revision: 1}, "12345678901": {Revision: 12345678901},
		"2026-03-01T12:00:00Z": {At: noon}, "2026-03-01T13:00:00+01:00": {At: noon}, "2026-03-01T12:00:00.000001Z": {At: noon.Add(time.Microsecond)},
	} {
		if got, err := access.ParseAsOf("as_of", text); err != nil || got != want {
			t.Errorf("%q is %+v (%v), want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"0", "-1", "1.5", "now", "2026-03-01", "2026-03-01 12:00:00", "1000-01-01T00:00:00Z", "99999999999999999999", " 1"} {
		if got, err := access.ParseAsOf("as_of", text); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("%q is %+v (%v)", text, got, err)
		}
	}
}
