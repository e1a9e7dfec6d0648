package service

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Matrix lays out what holders may do, of what is in force or of an earlier state.
// It shows people and conditions, so it needs what Explain needs.
func (d *Decisions) Matrix(ctx context.Context, caller access.Caller, tenant string, q access.MatrixQuery, want access.Consistency) (access.Matrix, error) {
	if _, err := d.authority.Allow(ctx, caller, tenant, wholePolicy); err != nil {
		return access.Matrix{}, err
	}
	if err := d.satisfy(ctx, tenant, want); err != nil {
		return access.Matrix{}, err
	}
	s, err := d.sight(ctx, tenant, want)
	if err != nil {
		return access.Matrix{}, err
	}
	return d.authority.sights.Matrix(ctx, s, q)
}

func (d *Decisions) sight(ctx context.Context, tenant string, want access.Consistency) (access.Sight, error) {
	switch {
	case d.authority == nil:
		return nil, access.Invalid("tenant", "cannot be laid out here")
	case want.AsOf.Now():
		return d.authority.sights.Sight(tenant)
	case d.past == nil:
		return nil, access.Invalid("as_of", "there is no history here")
	}
	answers, _, err := d.past.At(ctx, tenant, want.AsOf)
	if err != nil {
		return nil, err
	}
	return answers.Sight(tenant)
}
