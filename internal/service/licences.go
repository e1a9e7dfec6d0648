package service

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// LicenceEntry is a licence of a tenant with how much of it is taken.
type LicenceEntry struct {
	access.Licence
	Used int // accounts that hold a seat
}

// Free gives how many seats are left, and false where there is no limit.
func (l LicenceEntry) Free() (int, bool) { return max(l.Seats-l.Used, 0), l.Seats > 0 }

// Licences lists the licences of a tenant in the order of their features.
func (d *Directory) Licences(ctx context.Context, caller access.Caller, tenant string) ([]LicenceEntry, access.Revision, error) {
	var all []LicenceEntry
	var revision access.Revision
	err := d.read(ctx, caller, tenant, Need{Part: "Settings", Action: "show"}, func(r access.Reading) error {
		used, err := r.CountSeats()
		for _, l := range r.Policy().Licences {
			all = append(all, LicenceEntry{Licence: l, Used: used[l.Feature]})
		}
		slices.SortFunc(all, func(a, b LicenceEntry) int { return strings.Compare(a.Feature, b.Feature) })
		revision = r.Revision()
		return err
	})
	return all, revision, err
}

// Licence gives one licence.
func (d *Directory) Licence(ctx context.Context, caller access.Caller, tenant, feature string) (LicenceEntry, access.Revision, error) {
	all, revision, err := d.Licences(ctx, caller, tenant)
	if err != nil {
		return LicenceEntry{}, 0, err
	}
	if i := slices.IndexFunc(all, func(l LicenceEntry) bool { return l.Feature == feature }); i >= 0 {
		return all[i], revision, nil
	}
	return LicenceEntry{}, 0, access.NotFound("licence", feature)
}

// PutLicence gives a tenant a licence, or another number of seats; 0 seats are as
// many as are wanted. There cannot be fewer seats than are taken.
func (d *Directory) PutLicence(ctx context.Context, caller access.Caller, tenant string, l access.Licence, c access.Change) (LicenceEntry, access.Revision, error) {
	entry := LicenceEntry{Licence: l}
	if err := access.ValidCode("feature", l.Feature); err != nil {
		return entry, 0, err
	}
	if l.Seats < 0 {
		return entry, 0, access.Invalid("seats", "must not be negative")
	}
	need := Need{Part: "Settings", Action: "update", Scope: access.Everywhere}
	revision, err := d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		used, err := t.CountSeats()
		if err != nil {
			return err
		}
		if entry.Used = used[l.Feature]; l.Seats > 0 && entry.Used > l.Seats {
			return licenceConflict("seats", "%d seats are too few: %d users hold one of %q", l.Seats, entry.Used, l.Feature)
		}
		p := t.Policy()
		if i := licenceAt(p, l.Feature); i >= 0 {
			p.Licences[i].Seats = l.Seats
		} else {
			p.Licences = append(p.Licences, l)
		}
		return nil
	})
	return entry, revision, err
}

// DeleteLicence takes a licence from a tenant. That is refused while anybody holds
// a seat. Sections that need it are closed from then on.
func (d *Directory) DeleteLicence(ctx context.Context, caller access.Caller, tenant, feature string, c access.Change) (access.Revision, error) {
	need := Need{Part: "Settings", Action: "delete", Scope: access.Everywhere}
	return d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		i := licenceAt(p, feature)
		if i < 0 {
			return access.NotFound("licence", feature)
		}
		used, err := t.CountSeats()
		if err != nil {
			return err
		}
		if used[feature] > 0 {
			return licenceConflict("licence", "%d users hold a seat of %q; take it from them first", used[feature], feature)
		}
		p.Licences = slices.Delete(p.Licences, i, i+1)
		return forgetSeats(t, feature)
	})
}

// forgetSeats takes from deleted accounts the seats of a licence that is gone:
// whoever is restored must not come to hold one of another licence of this name.
func forgetSeats(t access.Draft, feature string) error {
	var users []access.User
	err := t.EachUser(func(u access.User) error {
		if slices.Contains(u.Licences, feature) {
			u.Licences = slices.DeleteFunc(u.Licences, func(f string) bool { return f == feature })
			users = append(users, u)
		}
		return nil
	})
	for _, u := range users {
		t.PutUser(u)
	}
	return err
}

func licenceAt(p *access.Policy, feature string) int {
	return slices.IndexFunc(p.Licences, func(l access.Licence) bool { return l.Feature == feature })
}

func licenceConflict(field, format string, args ...any) error {
	return &access.Error{Kind: ErrConflict, Field: field, Message: fmt.Sprintf(format, args...)}
}
