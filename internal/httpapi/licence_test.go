package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// Req 15, 44: a licence opens what needs it, for as many as there are seats.
func TestLicence_seats(t *testing.T) {
	inSample(t, "crm-groups", func(t *testing.T, s sample) {
		t.Helper()
		of := func(feature string) api.Licence {
			t.Helper()
			for _, l := range decode[api.Licences](t, s.do(http.MethodGet, "/licences", "")).Licences {
				if l.Feature == feature {
					return l
				}
			}
			t.Fatalf("no licence %s", feature)
			return api.Licence{}
		}
		used := of("chats").Used
		if used < 2 {
			t.Fatalf("%d seats are used", used)
		}
		p := s.wantProblem(s.do(http.MethodPut, "/licences/chats", `{"seats":1}`), 409, "conflict")
		if !strings.Contains(p.Detail, "1 seats are too few") {
			t.Errorf("%s", p.Detail)
		}
		decode[api.Licence](t, s.do(http.MethodPut, "/licences/chats", `{"seats":9}`))
		if l := of("chats"); l.Seats != 9 || l.Used != used || l.Free == nil || *l.Free != 9-used {
			t.Errorf("%+v", l)
		}
		decode[api.Licence](t, s.do(http.MethodPut, "/licences/chats", `{"seats":0}`))
		if l := of("chats"); l.Free != nil {
			t.Errorf("without limit: %+v", l)
		}
		s.wantProblem(s.do(http.MethodDelete, "/licences/chats", ""), 409, "conflict")
		decode[api.Licence](t, s.do(http.MethodPut, "/licences/fax", `{"seats":1}`))
		s.must(wantStatus(s.do(http.MethodDelete, "/licences/fax", ""), 200))
		s.wantProblem(s.do(http.MethodDelete, "/licences/fax", ""), 404, "not_found")
	})
}

func TestLicence_badInput(t *testing.T) {
	h := newHouse(t)
	for path, body := range map[string]string{
		"/licences/chats": `{}`, "/licences/fax": `{"seats":-1}`, "/licences/sms": `{"seats":1.5}`, "/licences/Chats": `{"seats":1}`,
		"/licences/tv": `{"seats":2147483648}`, "/licences/tel": `{"seats":1,"used":0}`,
	} {
		h.wantProblem(h.send(http.MethodPut, "/v1/tenants/default"+path, h.root, body), 400, "invalid")
	}
}
