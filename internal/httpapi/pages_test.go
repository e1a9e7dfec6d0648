package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// lists are all lists that come in pages, with what names one of their entries.
var lists = map[string]string{
	"/users?sort=email": "id", "/users?sort=-id": "id", "/groups?": "code", "/groups?sort=-members": "code",
	"/roles?sort=name": "code", "/groups/crowd/members?": "user",
}

// thronged is a house with more of everything than fits on a page.
func thronged(t *testing.T, o store.Options) *house {
	t.Helper()
	h := newHouseOn(t, o)
	texts := map[string]string{
		"bundle.yaml": "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: crowded\n",
		"groups/crowd.yaml": `apiVersion: bailiwick/v1
kind: Group
code: crowd
name: Crowd
`,
		"users/all.yaml": "apiVersion: bailiwick/v1\nkind: Users\nusers:\n",
	}
	for i := range 7 {
		texts["users/all.yaml"] += fmt.Sprintf("  - {id: u%d, email: \"%d@example.com\", groups: [crowd]}\n", i, i%3*10+i)
		texts[fmt.Sprintf("roles/r%d.yaml", i)] = fmt.Sprintf("apiVersion: bailiwick/v1\nkind: Role\ncode: r%d\nname: Role\n", i)
		texts[fmt.Sprintf("groups/g%d.yaml", i)] = fmt.Sprintf("apiVersion: bailiwick/v1\nkind: Group\ncode: g%d\nname: Group\n", i)
	}
	h.load("crowded", files(texts))
	texts["bundle.yaml"] = strings.ReplaceAll(texts["bundle.yaml"], "crowded", "copy")
	h.load("copy", files(texts))
	return h
}

// page gives the names on a page of a list, and the token of the next one.
func (h *house) page(path, member, token string, size int) (names []string, next string) {
	h.t.Helper()
	w := h.send(http.MethodGet, fmt.Sprintf("/v1/tenants/crowded%s&page_size=%d&page_token=%s", path, size, url.QueryEscape(token)), h.root, "")
	var got map[string]json.RawMessage
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		h.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	for _, list := range []string{"users", "groups", "roles", "members"} {
		var entries []map[string]any
		if len(got[list]) > 0 && json.Unmarshal(got[list], &entries) == nil {
			for _, e := range entries {
				names = append(names, fmt.Sprint(e[member]))
			}
		}
	}
	_ = json.Unmarshal(got["next_page_token"], &next) // left out behind the last
	return names, next
}

// TestPages_anyReplica: a page token of one replica is good on any other over the
// same store, and pages of any size make the same whole. Req 112.
func TestPages_anyReplica(t *testing.T) {
	mysql := func(t testing.TB) store.Options {
		t.Helper()
		return store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t)}
	}
	for name, o := range map[string]func(testing.TB) store.Options{"sqlite": sqliteFile, "mysql": mysql} {
		t.Run(name, func(t *testing.T) {
			h := thronged(t, o(t))
			replicas := []*house{h, neighbour(t, h, never)}
			for path, member := range lists {
				whole, more := h.page(path, member, "", 1000)
				if more != "" || len(whole) < 7 {
					t.Fatalf("%s: %v", path, whole)
				}
				for size := 1; size <= 8; size++ {
					var got []string
					for token, i := "", 0; i == 0 || token != ""; i++ {
						var part []string
						part, token = replicas[i%2].page(path, member, token, size)
						got = append(got, part...)
					}
					if !slices.Equal(got, whole) {
						t.Errorf("%s in pages of %d: %v, want %v", path, size, got, whole)
					}
				}
			}
		})
	}
}

// TestPages_gone: where the last entry of a page is gone by now, the next page
// goes on where it stood.
func TestPages_gone(t *testing.T) {
	h := thronged(t, sqliteFile(t))
	for path, member := range lists {
		h.load("crowded", files(map[string]string{
			"bundle.yaml":       "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: crowded\n",
			"groups/crowd.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: crowd\nname: Crowd\n",
			"users/all.yaml":    "apiVersion: bailiwick/v1\nkind: Users\nusers:\n  - {id: ua, groups: [crowd]}\n  - {id: ub, groups: [crowd]}\n  - {id: uc, groups: [crowd]}\n",
			"roles/ra.yaml":     "apiVersion: bailiwick/v1\nkind: Role\ncode: ra\nname: A\n",
			"roles/rb.yaml":     "apiVersion: bailiwick/v1\nkind: Role\ncode: rb\nname: B\n",
			"roles/rc.yaml":     "apiVersion: bailiwick/v1\nkind: Role\ncode: rc\nname: C\n",
			"groups/gb.yaml":    "apiVersion: bailiwick/v1\nkind: Group\ncode: gb\nname: Z\n",
		}))
		whole, _ := h.page(path, member, "", 10)
		_, token := h.page(path, member, "", 1)
		base, _, _ := strings.Cut(strings.Replace(path, "/groups/crowd/members", "/users", 1), "?")
		if whole[0] == "crowd" {
			continue // it has members, and stays
		}
		if w := h.send(http.MethodDelete, "/v1/tenants/crowded"+base+"/"+whole[0], h.root, ""); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		if rest, _ := h.page(path, member, token, 10); !slices.Equal(rest, whole[1:]) {
			t.Errorf("%s: behind %s come %v, want %v", path, whole[0], rest, whole[1:])
		}
	}
}

// TestPages_refused: a token that was edited, made up, or comes from another
// list, tenant or epoch, or from servers that share no secret, is 400.
func TestPages_refused(t *testing.T) {
	h := thronged(t, sqliteFile(t))
	stranger := thronged(t, sqliteFile(t))
	refused := func(h *house, why, path, token string) {
		t.Helper()
		w := h.send(http.MethodGet, "/v1/tenants/"+path+"&page_token="+url.QueryEscape(token), h.root, "")
		if p := h.wantProblem(w, http.StatusBadRequest, "invalid"); len(p.Details) != 1 || p.Details[0].Field != "page_token" {
			t.Errorf("%s: %s", why, w.Body)
		}
	}
	tokens := map[string]string{}
	for path, member := range lists {
		_, token := h.page(path, member, "", 2)
		tokens[path] = token
		refused(stranger, "servers of another store", "crowded"+path, token)
		refused(h, "another tenant", "copy"+path, token)
		refused(h, "another query", "crowded"+strings.Replace(path, "crowd/members?", "g1/members?", 1)+otherQuery(path), token)
		for i := range token {
			edited := []byte(token)
			edited[i] ^= 1
			refused(h, "edited", "crowded"+path, string(edited))
		}
		for _, made := range []string{"AAAA", token[:len(token)-1], token + "A", "u1", "g1", "!"} {
			refused(h, "made up", "crowded"+path, made)
		}
	}
	for path := range lists {
		for other, token := range tokens {
			if other != path {
				refused(h, "of "+other, "crowded"+path, token)
			}
		}
	}
	h.must(h.store.RenewEpoch(t.Context(), "crowded", access.Change{Base: access.AnyRevision, Author: "operator-1", Source: "test"}))
	h.must(h.follower.Refresh(t.Context(), "crowded"))
	for path, token := range tokens {
		refused(h, "of an epoch before", "crowded"+path, token)
	}
}

// otherQuery asks for something else than a list did.
func otherQuery(path string) string {
	if strings.Contains(path, "/members") {
		return "" // it is that of another group
	}
	return "&q=g"
}

// TestPages_search: tokens of searches for subjects are shared too.
func TestPages_search(t *testing.T) {
	h := newHouse(t)
	n := neighbour(t, h, never)
	h.must(h.follower.Refresh(t.Context(), access.DefaultTenant))
	first := decode[api.FoundSubjects](t, h.ask("/v1/search/subjects", `{"action":"read","section":"record","page_size":1}`))
	body := fmt.Sprintf(`{"action":"read","section":"record","page_size":1,"page_token":%q}`, first.NextPageToken)
	if next := decode[api.FoundSubjects](t, n.ask("/v1/search/subjects", body)); len(next.Subjects) != 1 || next.Subjects[0] == first.Subjects[0] {
		t.Errorf("the next page is %+v, after %+v", next, first)
	}
}
