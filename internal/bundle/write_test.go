package bundle_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

// written writes a policy, and reads it again.
func written(t *testing.T, p *access.Policy) (map[string]string, *access.Policy) {
	t.Helper()
	files, err := bundle.Write(p)
	if err != nil {
		t.Fatal(err)
	}
	again := fstest.MapFS{}
	for name, text := range files {
		again[name] = &fstest.MapFile{Data: []byte(text)}
		if canonical, err := bundle.Format(name, []byte(text)); err != nil || string(canonical) != text {
			t.Errorf("%s is not canonical (%v):\n%s", name, err, text)
		}
	}
	b, err := bundle.Read(again, bundle.Options{ModelOf: modelOf})
	if err != nil {
		t.Fatalf("%v in\n%v", err, files)
	}
	return files, &b.Policy
}

func modelOf(string) (string, access.Combining, error) { return "", "", nil }

// TestWrite_samples: what is written of a policy says what the policy says, for
// every sample, and stays what it is when it is written again.
func TestWrite_samples(t *testing.T) {
	folders, err := filepath.Glob("../../policies/*")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, dir := range folders {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		count++
		t.Run(filepath.Base(dir), func(t *testing.T) {
			b, err := bundle.Read(os.DirFS(dir), bundle.Options{ModelOf: modelOf})
			if err != nil {
				t.Fatal(err)
			}
			files, p := written(t, &b.Policy)
			for _, o := range access.Diff(&b.Policy, p) {
				t.Error(o)
			}
			for name := range files {
				if _, err := fs.Stat(os.DirFS(dir), name); err != nil {
					t.Errorf("%s: a sample has no such file", name)
				}
				if all := access.Diff(bundle.Piece(&b.Policy, name), bundle.Piece(p, name)); len(all) > 0 {
					t.Errorf("%s: %v", name, all)
				}
			}
			if again, _ := written(t, p); len(again) != len(files) {
				t.Errorf("%d files become %d", len(files), len(again))
			} else {
				for name, text := range files {
					if again[name] != text {
						t.Errorf("%s is written as\n%s\nand then as\n%s", name, text, again[name])
					}
				}
			}
		})
	}
	if count < 5 {
		t.Errorf("only %d samples", count)
	}
}

// TestWrite_everything: what samples do not use.
func TestWrite_everything(t *testing.T) {
	at := access.Validity{From: mustTime("2026-03-01T12:00:00Z"), Until: mustTime("2027-03-01T12:00:00.5Z")}
	p := &access.Policy{
		Tenant: "all", Description: "two\nlines: # no comment", Combining: access.AllowOverrides, Root: "Top", Anonymous: "guests", NeedBase: true,
		SignIn: access.SignInRules{
			MinLength: 14, Lower: true, Upper: true, Digits: true, Symbols: true, NoReuse: 3, ExpireDays: 90, Failures: 5, FailureWindow: 10 * time.Minute,
			LockFor: time.Hour, LockForGood: true, IdleTime: 20 * time.Minute, TotalTime: 8 * time.Hour, SecondFactor: access.SecondFactorRequired,
		},
		Accounts: access.AccountRules{EmailPattern: `[a-z.]+@example\.com`, Required: []string{"external_id", "attributes.region"}, EmailUnique: access.EmailPerStore},
		Licences: []access.Licence{{Feature: "chats", Seats: 3}, {Feature: "mails"}},
		Scopes:   []access.ScopeNode{{Scope: "company:7", Parent: "*"}, {Scope: "store:yes", Parent: "company:7", Name: "No"}},
		Catalogue: []access.Application{{
			Code: "shop", Names: map[string]string{"de": "Laden", "en": "yes"},
			Families: []access.FamilyEntry{{Name: "On: the #1", Names: map[string]string{"de": "Ja", "no": "no"}}},
			Sections: []access.SectionEntry{
				{Path: "Top.A", Family: "On: the #1", Actions: []access.ActionEntry{{Name: "send"}, {Name: "read", Label: "Read"}}, Menu: &access.MenuEntry{Label: "A", Order: -1}, Deprecated: "Top.B"},
				{Path: "Top.B", Field: true, Cascade: true, Prerequisites: []access.Prerequisite{{Section: "Top.A", Rights: access.Show}}, Licence: "chats"},
			},
			Roles: []access.Link{{To: "clerk", Scope: "store:yes"}},
		}},
		Roles: []access.Role{{Code: "clerk", Roles: []access.Link{{To: "base", Validity: at}}}, {Code: "base"}},
		Groups: []access.Group{
			{Code: "guests", Kind: access.GroupDefault, Signature: "Dear {{ user.name }},\n\n  yours\n", Attributes: map[string]any{"n": 5.0, "half": 0.5, "deep": map[string]any{"list": []any{"x", true}}}},
			{Code: "none", Base: "guests", Scopes: []access.Scope{}, Manages: []string{}},
			{Code: "some", Base: "guests", Scopes: []access.Scope{"store:yes"}, Manages: []string{"none"}, Grants: []access.Grant{
				{Section: "Top.A", Rights: access.AllRights, Effect: access.Deny, Condition: `context.ip == "10.0.0.1" // "x"`, Validity: at, Scope: "store:yes"},
				{Section: "Top.A", Actions: []string{"send"}},
				{Section: "Top.B"},
			}},
		},
		Users: []access.User{
			{ID: "7", Email: "sales-7@example.com", Status: access.UserLocked, Groups: []access.Link{{To: "some"}, {To: "guests"}}, Menu: []access.Section{"Top.A"}, ExternalID: "007"},
			{ID: "null", Licences: []string{"chats"}, ApplicationsOff: []string{"shop"}, Roles: []access.Link{{To: access.SuperuserRole}}},
		},
		Rules: []access.Rule{{Type: "g", Values: []string{"u:8", "r:clerk", "*"}}},
		Guarantees: []access.Guarantee{{
			Name: "four-eyes", Rule: access.Separate, Who: []string{"group:some"}, Except: []string{"superusers"},
			Rights: []access.GuardedRight{{Section: "Top.A", Rights: access.Show, Actions: []string{"send"}}, {Section: "Top.B", Rights: access.Update}},
		}},
	}
	_, again := written(t, p)
	for _, o := range access.Diff(p, again) {
		t.Error(o)
	}
	deleted := access.Policy{Tenant: "t", Users: []access.User{{ID: "8", Status: access.UserDeleted}}}
	if files, _ := written(t, &deleted); len(files) != 1 {
		t.Errorf("a deleted account stands in %v", files)
	}
	for name, value := range map[string]any{"null": nil, "huge": uint64(1) << 60} {
		if files, err := bundle.Write(&access.Policy{Tenant: "t", Users: []access.User{{ID: "8", Attributes: map[string]any{"x": value}}}}); err == nil {
			t.Errorf("%s is written as %v", name, files)
		}
	}
}

func mustTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return at
}
