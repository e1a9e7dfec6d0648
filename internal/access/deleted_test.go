package access_test

import (
	"slices"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Req 30: a deleted account keeps its settings for a while and has no rights
// meanwhile, whatever has become of what it was a member of.
func TestUser_deletedHoldsNothing(t *testing.T) {
	gone := access.User{
		ID: "sales-1", Email: "sales-1@example.com", Status: access.UserDeleted,
		Groups: []access.Link{{To: "no-longer-there"}}, Licences: []string{"chats"},
		Grants: []access.Grant{{Section: "System", Rights: access.AllRights}},
	}
	follower := access.User{ID: "sales-2", Email: gone.Email, Licences: []string{"chats"}}
	p := access.Policy{Tenant: "shop", Licences: []access.Licence{{Feature: "chats", Seats: 1}}, Users: []access.User{gone, follower}}
	if err := p.Check().Err(); err != nil {
		t.Fatalf("a deleted account stands in the way: %v", err)
	}
	f := p.Facts()
	if slices.ContainsFunc(f.Rules, func(r access.Rule) bool { return r.Values[0] == "u:sales-1" }) {
		t.Errorf("a deleted account has rules: %v", f.Rules)
	}
	if len(f.Users) != 2 || f.Users[0].Status != access.UserDeleted {
		t.Errorf("facts of users are %v; the deleted one must be there and inactive", f.Users)
	}
}
