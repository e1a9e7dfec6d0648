package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestSoakEnumeration prints how long refusals take for e-mails that are known and
// others, turn about, each from an address of its own. The medians should be the
// same, but for what the machine does besides.
func TestSoakEnumeration(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") == "" {
		t.Skip("BAILIWICK_SOAK is not set")
	}
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		const rounds = 100
		h := newHouseOn(t, o)
		h.load("people", files(peopleTexts))
		kinds := []string{"active", "disabled", "without a password", "unknown"}
		for n := range rounds {
			for _, kind := range kinds[:3] {
				id := fmt.Sprintf("%c-%d", kind[0], n)
				decode[api.User](t, h.send(http.MethodPost, people+"/users", h.root, `{"id":"`+id+`","email":"`+id+`@example.com","name":"Somebody","groups":[{"group":"staff"}]}`))
				if kind != "without a password" {
					decode[api.User](t, h.send(http.MethodPut, people+"/users/"+id+"/password", h.root, `{"password":"`+firstPassword+`"}`))
				}
				if kind == "disabled" {
					decode[api.User](t, h.send(http.MethodPost, people+"/users/"+id+":deactivate", h.root, `{}`))
				}
			}
		}
		for what, body := range map[string]string{"sign-in": `{"email":%q,"password":"` + wrongPassword + `"}`, "password-reset": `{"email":%q}`} {
			took := map[string][]time.Duration{}
			for n := range rounds {
				for i := range kinds {
					kind := kinds[(i+n)%len(kinds)]
					email := fmt.Sprintf("%c-%d@example.com", kind[0], n)
					r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "https://access.example.com"+people+"/"+what, nil)
					r.Header.Set("Content-Type", "application/json")
					r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", len(what), n, i)
					began := time.Now()
					h.sent(r, fmt.Sprintf(body, email))
					took[kind] = append(took[kind], time.Since(began))
					time.Sleep(time.Millisecond) // what goes on behind an answer ends before the next
				}
			}
			for _, kind := range kinds {
				slices.Sort(took[kind])
				t.Logf("%s, %s: median %v, 90 of 100 within %v", what, kind, took[kind][rounds/2], took[kind][rounds*9/10])
			}
		}
	})
}
