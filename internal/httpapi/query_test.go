package httpapi_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// TestQuery_everyRoute: each route of administration takes the parameters that
// it declares, within their limits, and refuses any other and all beyond, naming
// the parameter. Req 31, 32, 112.
func TestQuery_everyRoute(t *testing.T) {
	h := newHouse(t)
	for _, r := range httpapi.Routes() {
		if r.Need == "" || r.Need == string(httpapi.NeedSession) || strings.Contains(r.Path, "/access/v1/") || strings.HasPrefix(r.Path, "/t/") || r.Body != nil && len(r.Query) == 0 && !strings.HasPrefix(r.Path, "/v1/tenants") {
			continue
		}
		path := matrixPath(r)
		refused := func(query, field string) {
			t.Helper()
			w := h.send(r.Method, path+"?"+query, h.root, "{}")
			p := h.wantProblem(w, http.StatusBadRequest, "invalid")
			if len(p.Details) != 1 || p.Details[0].Field != field {
				t.Errorf("%s %s?%.40s: %s", r.Method, r.Path, query, w.Body)
			}
		}
		refused("colour=red", "colour")
		refused("%zz", "query")
		for _, p := range r.Query {
			for _, bad := range badValues(p) {
				refused(p.Name+"="+url.QueryEscape(bad), p.Name)
			}
			for _, good := range goodValues(p) {
				w := h.send(r.Method, path+"?"+p.Name+"="+url.QueryEscape(good), h.root, "{}")
				var told api.Problem
				if w.Code == http.StatusBadRequest {
					told = h.wantProblem(w, http.StatusBadRequest, "invalid")
				}
				if len(told.Details) == 1 && strings.Contains(told.Details[0].Reason, "limit") {
					t.Errorf("%s %s?%s=%.40s: %s", r.Method, r.Path, p.Name, good, w.Body)
				}
			}
			refused(p.Name+"="+url.QueryEscape(goodValues(p)[0])+"&"+p.Name+"=2", p.Name)
		}
	}
}

// matrixPath is where the matrix of callers asks a route.
func matrixPath(r httpapi.Route) string {
	if e := matrix[r.Method+" "+r.Path]; e.path != "" {
		return strings.Split(e.path, "?")[0]
	}
	return strings.NewReplacer("{tenant}", "default", "{code}", "readers", "{id}", "bob").Replace(r.Path)
}

func goodValues(p httpapi.Param) []string {
	switch {
	case len(p.Enum) > 0:
		return p.Enum
	case p.Type == "integer":
		return []string{strconv.Itoa(p.Min), strconv.Itoa(p.Max)}
	case p.Type == "boolean":
		return []string{"true", "false"}
	case p.Format == "date-time":
		return []string{"2027-01-31T12:00:00Z", "2027-01-31T12:00:00.5+02:00"}
	}
	return []string{strings.Repeat("n", p.Max)}
}

func badValues(p httpapi.Param) []string {
	switch {
	case len(p.Enum) > 0:
		return []string{"-", "--" + p.Enum[0], strings.ToUpper(p.Enum[0]), p.Enum[0] + ";DROP TABLE users"}
	case p.Type == "integer":
		return []string{strconv.Itoa(p.Min - 1), strconv.Itoa(p.Max + 1), "1e1", "", "0x1"}
	case p.Type == "boolean":
		return []string{"1", "True", ""}
	case p.Format == "date-time":
		return []string{"2027-01-31", "yesterday", ""}
	}
	return []string{strings.Repeat("n", p.Max+1), "\xff", "a\x00b"}
}

// TestQuery_meant: a parameter that is misspelt is not taken for none, and the
// answer says what was probably meant.
func TestQuery_meant(t *testing.T) {
	h := newHouse(t)
	for query, want := range map[string]string{
		"/users?statsu=active": "did you mean status?", "/groups?page_sise=5": "did you mean page_size?", "/users?Group=a": "not a query parameter",
	} {
		p := h.wantProblem(h.send(http.MethodGet, "/v1/tenants/default"+query, h.root, ""), http.StatusBadRequest, "invalid")
		if !strings.Contains(p.Message, want) {
			t.Errorf("%s: %s", query, p.Message)
		}
	}
}
