package api

import (
	"context"
	"net/http"
)

// MatrixAsked asks for what holders may do.
type MatrixAsked struct {
	// As in rules: g:sales, u:42, a:erp, u:anonymous. All of the type when left out.
	Holders []string `json:"holders,omitempty"`
	// group, user or app; group when left out. Only looked at without holders.
	Type string `json:"type,omitzero"`
	// Only what holds in this scope. When left out, every scope that anything of a holder's is said of.
	Scope string `json:"scope,omitzero"`
	// Only this section and those below it.
	Section string `json:"section,omitzero"`
	Consistency
}

// Matrix is what holders may do. Conditions are not evaluated.
type Matrix struct {
	Tenant   string `json:"tenant"`
	Revision uint64 `json:"revision,omitzero"`
	// By holder, scope and section. It is whole: more than 100,000 rows are refused.
	Rows []MatrixRow `json:"rows"`
	// What the conditions say that rows name, by id.
	Conditions map[string]string `json:"conditions,omitempty"`
}

// MatrixRow is what a holder may do in a section: in a scope, and in everything
// below it that has no row of its own for this holder and section. Of a group it is
// what somebody holds who is in that group alone and has a seat of every licence.
type MatrixRow struct {
	Holder  string `json:"holder"`
	Scope   string `json:"scope"`
	Section string `json:"section"`
	// Held whatever is asked.
	Actions []string `json:"actions"`
	// Held under conditions.
	If []ConditionalRight `json:"if,omitempty"`
}

// ConditionalRight is an action that is held under conditions.
type ConditionalRight struct {
	Action string `json:"action"`
	// Ids of conditions: of each list, one must hold.
	When [][]string `json:"when,omitempty"`
	// Ids of conditions none of which may hold.
	Unless []string `json:"unless,omitempty"`
}

// Matrix asks for what holders of the client's tenant may do.
func (c *Client) Matrix(ctx context.Context, asked MatrixAsked) (Matrix, error) {
	return answer[Matrix](ctx, c, http.MethodPost, c.asked("/v1/matrix"), asked)
}
