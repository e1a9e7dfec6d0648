package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/oidc"
	"github.com/bailiwick/bailiwick/internal/service"
)

// trust lets people sign in at the OpenID providers that are configured. None is
// asked anything yet.
func (h *house) trust(cfg config.Config) error {
	configured, err := cfg.SignIn.Providers()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	var all []service.Provider
	for _, p := range configured {
		back := fmt.Sprintf("%s/v1/tenants/%s/sign-in/providers/%s/callback", strings.TrimSuffix(cfg.Server.PublicURL, "/"), url.PathEscape(p.Tenant), p.Code)
		client, err := oidc.New(oidc.Options{
			Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.Secret, RedirectURL: back, Scopes: p.Scopes, GroupsClaim: p.GroupsClaim,
		})
		if err != nil {
			return err
		}
		all = append(all, service.Provider{
			Tenant: p.Tenant, Code: p.Code, Name: p.Name, OpenID: client, ByEmail: p.LinkByEmail, Create: p.CreateUsers, Groups: p.GroupsByName,
		})
	}
	h.accounts.Trust(all)
	return nil
}
