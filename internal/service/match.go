package service

import (
	"context"
	"errors"

	"github.com/bailiwick/bailiwick/internal/access"
)

// matches lets the author of a change judge the thing that it is about, as it is
// while the tenant is locked. A thing that he is not shown he cannot ask about.
func (d *Directory) matches(ctx context.Context, tenant string, need Need, in Reach, r access.Reading, m *access.Match) error {
	if m == nil {
		return nil
	}
	if kind, held := holders[m.Kind]; held && !need.Own {
		if err := d.visibleIn(ctx, tenant, in, r, kind, m.Code); err != nil {
			return err
		}
	}
	thing, err := thingOf(r, m.Kind, m.Code)
	if errors.Is(err, access.ErrNotFound) {
		return m.Judge(nil)
	}
	if err != nil {
		return err
	}
	return m.Judge(thing)
}

// holders are the kinds of things that hold rights.
var holders = map[string]access.Kind{"group": access.KindGroup, "role": access.KindRole, "user": access.KindUser}

// thingOf gives one thing of a tenant by the name of its kind and its own.
func thingOf(r access.Reading, kind, code string) (any, error) {
	p := r.Policy()
	switch kind {
	case "user":
		return r.User(code)
	case "group":
		return found(groupOf(p, code))
	case "role":
		return found(roleOf(p, code))
	case "scope":
		return found(scopeOf(p, access.Scope(code)))
	case "licence":
		if i := licenceAt(p, code); i >= 0 {
			return p.Licences[i], nil
		}
	case "settings":
		return settingsOf(p), nil
	case "application":
		all := access.WithOurselves(p.Catalogue, p.Root)
		if i := applicationAt(all, code); i >= 0 {
			return all[i], nil
		}
	}
	return nil, access.NotFound(kind, code)
}

func found[T any](thing *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return *thing, nil
}
