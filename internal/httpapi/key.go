package httpapi

import (
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

var keyNames = names{known: []string{"kind", "name"}, closed: true}

func (c *call) listKeys() error {
	keys, err := c.api.o.Keys.List(c.ctx(), c.caller, c.tenant)
	if err != nil {
		return err
	}
	w := api.Keys{Keys: make([]api.Key, len(keys))}
	for i := range keys {
		w.Keys[i] = keyOf(&keys[i])
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) createKey() error {
	var w api.NewKey
	err := c.read(func(r *reader) error {
		return r.object("", &keyNames, func(name string) error {
			if name == "kind" {
				return r.text(name, &w.Kind)
			}
			return r.text(name, &w.Name)
		})
	})
	if err != nil {
		return err
	}
	text, key, err := c.api.o.Keys.Create(c.ctx(), c.caller, c.tenant, access.KeyKind(w.Kind), w.Name)
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, api.CreatedKey{Key: keyOf(&key), Text: text})
}

func (c *call) revokeKey() error {
	err := c.api.o.Keys.Revoke(c.ctx(), c.caller, c.tenant, c.g.Param("id"), c.word("reason"))
	if err != nil {
		return err
	}
	c.g.Writer.WriteHeader(http.StatusNoContent)
	return nil
}

func keyOf(k *access.APIKey) api.Key {
	return api.Key{
		ID: k.ID, Tenant: k.Tenant, Kind: string(k.Kind), Name: k.Name,
		Created: utc(k.Created), Revoked: utc(k.Revoked),
	}
}
