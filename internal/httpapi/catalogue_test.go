package httpapi_test

import (
	"maps"

	"github.com/bailiwick/bailiwick/internal/access"
)

func init() {
	const applications, users = "/v1/tenants/default/applications", "/v1/tenants/default/users"
	maps.Copy(matrix, map[string]entry{
		"GET /v1/tenants/{tenant}/applications":                         {need: access.KeyRead},
		"GET /v1/tenants/{tenant}/applications/{application}":           {need: access.KeyRead, path: applications + "/records"},
		"PUT /v1/tenants/{tenant}/applications/{application}/catalogue": {need: access.KeyAdmin, path: applications + "/till/catalogue", body: `{"name":"Till","sections":[{"path":"Till","name":"Till"}]}`},
		"PUT /v1/tenants/{tenant}/applications/{application}/rights":    {need: access.KeyAdmin, path: applications + "/records/rights", body: `{"roles":[],"grants":[]}`},
		"DELETE /v1/tenants/{tenant}/applications/{application}":        {need: access.KeyAdmin, path: applications + "/unknown", status: 404},
		"GET /v1/tenants/{tenant}/rights-catalogue":                     {need: access.KeyRead},
		"GET /v1/rights":                                        {need: access.KeyDecide, any: true, path: "/v1/rights?crud=10"},
		"GET /v1/tenants/{tenant}/scopes":                       {need: access.KeyRead},
		"POST /v1/tenants/{tenant}/scopes":                      {need: access.KeyAdmin, body: `{"scope":"store:new-%d"}`, status: 201},
		"GET /v1/tenants/{tenant}/scopes/{scope}":               {need: access.KeyRead, path: "/v1/tenants/default/scopes/store:eu-1"},
		"PATCH /v1/tenants/{tenant}/scopes/{scope}":             {need: access.KeyAdmin, path: "/v1/tenants/default/scopes/store:eu-1", body: `{"name":"Europe"}`},
		"DELETE /v1/tenants/{tenant}/scopes/{scope}":            {need: access.KeyAdmin, path: "/v1/tenants/default/scopes/store:eu-1", status: 409},
		"GET /v1/tenants/{tenant}/licences":                     {need: access.KeyRead},
		"PUT /v1/tenants/{tenant}/licences/{feature}":           {need: access.KeyAdmin, path: "/v1/tenants/default/licences/chats", body: `{"seats":3}`},
		"DELETE /v1/tenants/{tenant}/licences/{feature}":        {need: access.KeyAdmin, path: "/v1/tenants/default/licences/unknown", status: 404},
		"GET /v1/tenants/{tenant}/users/{id}/navigation":        {need: access.KeyDecide, path: users + "/alice/navigation"},
		"GET /v1/tenants/{tenant}/users/{id}/capabilities":      {need: access.KeyDecide, path: users + "/alice/capabilities"},
		"POST /v1/tenants/{tenant}/users/{id}/signature:render": {need: access.KeyDecide, path: users + "/alice/signature:render", body: `{}`},
	})
}
