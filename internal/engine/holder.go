package engine

import (
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// holder is a group, a role or the superuser's role: what one can belong to.
type holder struct {
	held
	group, template bool
}

// holder numbers a name that one can belong to.
func (b *binder) holder(name string, who access.Subject) uint32 {
	if id := b.s.names.id(name); id != 0 {
		return id
	}
	id := b.s.names.add(strings.Clone(name))
	h := b.holders.edit(id)
	h.group = who.Kind == access.KindGroup
	h.template = h.group && b.s.source.Groups[who.ID] == access.GroupTemplate
	if name == access.SuperuserRole {
		b.s.superuser = id
	}
	return id
}

// groups numbers all groups and notes which of them are templates.
func (b *binder) groups() {
	for code, kind := range b.s.source.Groups {
		who := access.Subject{Kind: access.KindGroup, ID: code}
		id := b.holder(who.Rule(), who)
		if template := kind == access.GroupTemplate; b.holders.at(id).template != template {
			b.holders.edit(id).template = template
		}
	}
}

// ungroup takes the mark from templates that are groups no longer.
func (b *binder) ungroup(before *frame) {
	for code, kind := range before.source.Groups {
		if _, still := b.s.source.Groups[code]; !still && kind == access.GroupTemplate {
			who := access.Subject{Kind: access.KindGroup, ID: code}
			b.holders.edit(b.s.names.id(who.Rule())).template = false
		}
	}
}

// holder gives what a number stands for; strangers hold nothing.
func (s *Snapshot) holder(id uint32) *holder {
	if h := s.holders.at(id); h != nil && id&stranger == 0 {
		return h
	}
	return &nobody
}

var nobody holder
