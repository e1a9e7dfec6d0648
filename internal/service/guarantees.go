package service

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Guarantees lists what must be true of every revision of a tenant. They come and
// go with the policy.
func (d *Directory) Guarantees(ctx context.Context, caller access.Caller, tenant string) ([]access.Guarantee, access.Revision, error) {
	var all []access.Guarantee
	var revision access.Revision
	err := d.readWithin(ctx, caller, tenant, Need{Part: "Policies", Action: "show"}, func(r access.Reading, _ Reach) error {
		all, revision = r.Policy().Guarantees, r.Revision()
		return nil
	})
	return all, revision, err
}
