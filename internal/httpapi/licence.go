package httpapi

import (
	"math"
	"net/http"
	"slices"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const licencePath = "/v1/tenants/{tenant}/licences"

var licenceRoutes = []route{
	{
		method: http.MethodGet, path: licencePath, tenant: true, need: access.KeyRead,
		serve: (*call).listLicences, tag: "Directory", summary: "List the licences of a tenant with their seats", answer: api.Licences{},
	},
	{
		method: http.MethodGet, path: licencePath + "/{feature}", tenant: true, need: access.KeyRead,
		serve: (*call).showLicence, tag: "Directory", summary: "Show a licence with its seats", answer: api.Licence{},
	},
	{
		method: http.MethodPut, path: licencePath + "/{feature}", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).putLicence, tag: "Directory", summary: "Give a tenant a licence, or another number of seats",
		text: changeText + "409 with the numbers where more seats are taken.", body: api.NewLicence{}, answer: api.Licence{},
	},
	{
		method: http.MethodDelete, path: licencePath + "/{feature}", tenant: true, need: access.KeyAdmin, change: true,
		query: editParams,
		serve: (*call).deleteLicence, tag: "Directory", summary: "Take a licence from a tenant",
		text:   changeText + "Sections that need it are closed from then on. 409 while users hold seats.",
		answer: api.DirectoryChanged{},
	},
}

var newLicenceNames = names{known: slices.Concat([]string{"seats"}, editMembers), closed: true}

func (c *call) listLicences() error {
	all, revision, err := c.directory().Licences(c.ctx(), c.caller, c.tenant)
	if err != nil {
		return err
	}
	w := api.Licences{Licences: make([]api.Licence, len(all)), Revision: uint64(revision)}
	for i, l := range all {
		w.Licences[i] = licenceOf(l)
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) showLicence() error {
	l, revision, err := c.directory().Licence(c.ctx(), c.caller, c.tenant, c.g.Param("feature"))
	if err != nil {
		return err
	}
	w := licenceOf(l)
	w.Revision = uint64(revision)
	return c.reply(http.StatusOK, w)
}

func licenceOf(l service.LicenceEntry) api.Licence {
	w := api.Licence{Feature: l.Feature, Seats: l.Seats, Used: l.Used}
	if free, limited := l.Free(); limited {
		w.Free = &free
	}
	return w
}

func (c *call) putLicence() error {
	seats, edit := int64(-1), api.Edit{}
	err := c.read(func(r *reader) error {
		return r.object("", &newLicenceNames, func(name string) error {
			if name == "seats" {
				return r.integer(name, &seats)
			}
			return r.edit(name, &edit)
		})
	})
	if err == nil && (seats < 0 || seats > math.MaxInt32) {
		err = access.Invalid("seats", "is required: 0, for as many as are wanted, to %d", math.MaxInt32)
	}
	if err != nil {
		return err
	}
	l := access.Licence{Feature: c.g.Param("feature"), Seats: int(seats)}
	entry, revision, err := c.directory().PutLicence(c.ctx(), c.caller, c.tenant, l, c.changeOf(edit))
	if err != nil {
		return err
	}
	w := licenceOf(entry)
	w.Revision = uint64(revision)
	return c.reply(http.StatusOK, w)
}

func (c *call) deleteLicence() error {
	revision, err := c.directory().DeleteLicence(c.ctx(), c.caller, c.tenant, c.g.Param("feature"), c.changeAsked())
	return c.changed(revision, err)
}
