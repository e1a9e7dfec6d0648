package service

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// decisive is the rule that nobody gives what he does not hold, for what decides
// besides rights: applications that are switched off, and attributes that
// conditions read. Without it one could choose the region in which a condition
// lets one act, or make an account for which everything is switched on.
func (j *judgement) decisive(ctx context.Context, in Reach, caller access.Caller, w *watched) error {
	own, err := w.was(caller.Subject.ID)
	if err != nil {
		return err
	}
	for _, name := range j.touched {
		theirs, err := j.after.Holdings(ctx, name, access.Ever)
		if err != nil {
			return err
		}
		var was, is access.User
		if kind, id, _ := access.ParseName(name); kind == access.KindUser {
			if was, err = w.was(id); err == nil {
				is, err = account(j.draft, id)
			}
			if err != nil {
				return err
			}
		}
		if err := j.switchedOn(caller, &own, name, &is, theirs); err != nil {
			return err
		}
		if err := in.chosen(&own, name, &was, &is, theirs, j.above); err != nil {
			return err
		}
	}
	return nil
}

// switchedOn refuses to touch who may act in an application that is switched off
// for the caller.
func (j *judgement) switchedOn(caller access.Caller, own *access.User, name string, is *access.User, theirs access.Holdings) error {
	for _, code := range own.ApplicationsOff {
		if !slices.Contains(is.ApplicationsOff, code) && j.actsIn(code, theirs) {
			return access.Forbidden("the application %q is switched off for %s, and %q may act in it or would", code, caller.Name, name)
		}
	}
	return nil
}

// actsIn tells whether a permission reaches a section of an application.
func (j *judgement) actsIn(code string, theirs access.Holdings) bool {
	all := access.WithOurselves(j.after.Frame().Catalogue, j.after.Frame().Root)
	at := applicationAt(all, code)
	return at >= 0 && slices.ContainsFunc(theirs.Rules, func(h access.Holding) bool {
		return h.Effect != access.Deny && slices.ContainsFunc(all[at].Sections, func(s access.SectionEntry) bool {
			return h.Section == s.Path || h.Act.Inherits() && h.Section.Above(s.Path)
		})
	})
}

// chosen refuses to choose attributes of whoever holds a right under a condition
// that reads them, unless the caller holds the right without it or has the same
// values.
func (in Reach) chosen(own *access.User, name string, was, is *access.User, theirs access.Holdings, above func(access.Scope) access.Scope) error {
	attribute, differs := differingAttribute(own, was, is)
	if !differs {
		return nil
	}
	for _, h := range theirs.Rules {
		if h.Effect == access.Deny || !h.OfSubject {
			continue
		}
		h.Condition = access.NoCondition
		if _, ok := in.held.Covers(access.Holdings{Rules: []access.Holding{h}}, above); !ok {
			return access.Forbidden("a condition bounds %s on %s by attributes of %q; %s, bound by it too, may not choose the attribute %q", h.Act, h.Section, name, in.caller, attribute)
		}
	}
	return nil
}

// differingAttribute finds one that changes to something else than the caller has.
func differingAttribute(own, was, is *access.User) (string, bool) {
	names := map[string]bool{}
	for _, u := range []*access.User{was, is} {
		for name := range u.Attributes {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !sameAttribute(was, is, name) && !sameAttribute(own, is, name) {
			return name, true
		}
	}
	return "", false
}

func sameAttribute(a, b *access.User, name string) bool {
	x, inA := a.Attributes[name]
	y, inB := b.Attributes[name]
	if inA != inB {
		return false
	}
	one, _ := json.Marshal(exactNumbers(x)) // they came as JSON
	other, _ := json.Marshal(exactNumbers(y))
	return string(one) == string(other)
}
