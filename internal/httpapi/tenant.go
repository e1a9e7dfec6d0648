package httpapi

import (
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// door through which changes come, for histories.
const source = "http"

const maxDescription = 1000 // bytes of a description or reason

var tenantNames = names{known: []string{"code", "description", "template"}, closed: true}

func (c *call) listTenants() error {
	tenants, err := c.api.o.Tenants.List(c.ctx(), c.caller)
	if err != nil {
		return err
	}
	w := api.Tenants{Tenants: make([]api.Tenant, len(tenants))}
	for i, t := range tenants {
		w.Tenants[i] = api.Tenant{Code: t.Code, Description: t.Description, Revision: uint64(t.Revision)}
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) createTenant() error {
	var w api.Tenant
	err := c.read(func(r *reader) error {
		return r.object("", &tenantNames, func(name string) error {
			switch name {
			case "code":
				return r.text(name, &w.Code)
			case "template":
				return r.text(name, &w.Template)
			}
			return r.prose(name, &w.Description)
		})
	})
	if err != nil {
		return err
	}
	tenant := access.Tenant{Code: w.Code, Description: w.Description}
	return made(c, http.StatusCreated, c.changeOf(api.Edit{}), func(change access.Change) (noThing, access.Revision, error) {
		revision, err := c.api.o.Tenants.Create(c.ctx(), c.caller, tenant, w.Template, change)
		return noThing{}, revision, err
	}, func(_ *noThing, revision access.Revision) api.Tenant {
		w.Revision = uint64(revision)
		return w
	})
}
