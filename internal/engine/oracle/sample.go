package oracle

import (
	"fmt"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Sizes of what Sample makes for each role, group and user.
const (
	grantsPerRole = 20
	rolesPerGroup = 4
	groupsPerUser = 3
)

// Sample makes facts in the shape of the built-in model with about as many
// rules as asked for: one in eleven is a link and the others are grants, twenty
// a role, over four kinds of scope, one in thirty a denial. Every role is in a
// group of four, every user in three groups. It is the same every time.
func Sample(rules int) access.Facts {
	roles := max(1, rules*10/11/grantsPerRole)
	groups := max(groupsPerUser, roles/rolesPerGroup)
	users := max(10, groups/10)
	f := access.Facts{
		Tenant: "sample", Revision: 1, Combining: access.DenyOverrides, Root: access.DefaultRoot,
		Scopes: sampleScopes(), Catalogue: []access.Application{{Code: "sample", Sections: sampleSections()}},
		Groups: map[string]access.GroupKind{}, Rules: []access.Rule{access.Sentinel()},
	}
	for i := range roles {
		for j := range grantsPerRole {
			f.Rules = append(f.Rules, sampleGrant(i, j))
		}
		f.Rules = append(f.Rules, sampleLink(access.Name(access.KindGroup, code("group", i%groups)), access.Name(access.KindRole, code("role", i))))
	}
	for i := range groups {
		f.Groups[code("group", i)] = access.GroupRegular
	}
	for i := range users {
		f.Users = append(f.Users, access.UserFacts{ID: code("user", i), Status: access.UserActive})
		for j := range groupsPerUser {
			f.Rules = append(f.Rules, sampleLink(access.Name(access.KindUser, code("user", i)), access.Name(access.KindGroup, code("group", (i*groupsPerUser+j)%groups))))
		}
	}
	return f
}

// SampleRequest gives the n-th of endlessly many questions about Sample's facts
// of that size. About half are allowed.
func SampleRequest(rules, n int) access.Request {
	roles := max(1, rules*10/11/grantsPerRole)
	users := max(10, max(groupsPerUser, roles/rolesPerGroup)/10)
	return access.Request{
		Subject: access.Subject{Kind: access.KindUser, ID: code("user", n%users)},
		Actions: []access.Action{[...]access.Action{"show", "update"}[n/7%2]},
		Section: sampleSection(n * 13 % sampleWidth), Scope: sampleScopes()[n*5%len(sampleScopes())].Scope,
	}
}

func code(noun string, i int) string { return fmt.Sprintf("%s-%d", noun, i) }

func sampleGrant(role, n int) access.Rule {
	i := role*grantsPerRole + n
	scope := access.Everywhere
	if i%4 != 0 {
		scope = sampleScopes()[i%len(sampleScopes())].Scope
	}
	effect := access.Allow
	if i%30 == 29 {
		effect = access.Deny
	}
	var rights access.Rights
	for bit := access.Show; bit <= access.Execute; bit <<= 1 {
		if (1+i%31)*2&int(bit) != 0 {
			rights |= bit
		}
	}
	if i%3 == 1 {
		rights |= access.Inherit
	}
	return access.Rule{Type: "p", Values: []string{
		access.Name(access.KindRole, code("role", role)), string(scope), string(sampleSection(i * 7 % sampleWidth)),
		rights.String(), string(effect), access.NoCondition,
	}}
}

func sampleLink(member, to string) access.Rule {
	return access.Rule{Type: "g", Values: []string{member, to, string(access.Everywhere)}}
}

// sampleWidth is the number of sections.
const sampleWidth = 100

// sampleSection gives sections three deep: ten areas of ten.
func sampleSection(i int) access.Section {
	if i%10 == 0 {
		return access.Section(fmt.Sprintf("System.Area%d", i/10))
	}
	return access.Section(fmt.Sprintf("System.Area%d.Part%d", i/10, i%10))
}

func sampleSections() []access.SectionEntry {
	var all []access.SectionEntry
	for i := range sampleWidth {
		all = append(all, access.SectionEntry{Path: sampleSection(i)})
	}
	return all
}

// sampleScopes are two companies with two stores each.
func sampleScopes() []access.ScopeNode {
	return []access.ScopeNode{
		{Scope: "company:1", Parent: access.Everywhere},
		{Scope: "company:2", Parent: access.Everywhere},
		{Scope: "store:a", Parent: "company:1"},
		{Scope: "store:b", Parent: "company:1"},
		{Scope: "store:c", Parent: "company:2"},
		{Scope: "store:d", Parent: "company:2"},
	}
}
