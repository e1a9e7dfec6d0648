package service_test

import (
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

func TestNewToken(t *testing.T) {
	end := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.FixedZone("", 3600))
	text, token := service.NewToken("default", "u1", access.PurposeActivate, end)
	other, _ := service.NewToken("default", "u1", access.PurposeActivate, end)
	if text == other || len(text) != 43 {
		t.Errorf("drew %d characters, twice the same: %v", len(text), text == other)
	}
	hash, ok := service.HashOf(text)
	if !ok || hash != token.Hash || token.User != "u1" || !token.Expires.Equal(end.Truncate(time.Microsecond)) {
		t.Errorf("%+v does not belong to its text", token)
	}
	for name, wrong := range map[string]string{"cut": text[:42], "longer": text + "A", "empty": ""} {
		if _, ok := service.HashOf(wrong); ok {
			t.Errorf("%s text is taken for one of ours", name)
		}
	}
}
