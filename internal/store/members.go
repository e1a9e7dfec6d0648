package store

import (
	"database/sql"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// countedAtOnce is how many groups or roles one statement counts.
const countedAtOnce = 500

// CountHolders counts the users who are linked to groups or roles themselves, by
// code. What nobody holds is left out.
func (r *reading) CountHolders(kind access.Kind, codes []string) (map[string]int, error) {
	counts := make(map[string]int, len(codes))
	names := make([]string, len(codes))
	for i, code := range codes {
		names[i] = access.Name(kind, code)
	}
	if kept, err := r.rosters.count(r.view, names); kept != nil || err != nil {
		for i, code := range codes {
			if n := kept[names[i]]; n > 0 {
				counts[code] = n
			}
		}
		return counts, err
	}
	for some := range slices.Chunk(codes, countedAtOnce) {
		query := `SELECT v1, COUNT(DISTINCT v0) FROM casbin_rule
			WHERE tenant_id = ? AND ptype = 'g' AND v1 IN (` + strings.TrimSuffix(strings.Repeat("?, ", len(some)), ", ") + `) AND v0 > 'u:' AND v0 < 'u;' AND v0 <> 'u:anonymous' GROUP BY v1`
		args := []any{r.tenant.ID}
		for _, code := range some {
			args = append(args, access.Name(kind, code))
		}
		err := each(r.ctx, r.tx, query, args, func(rows *sql.Rows) error {
			var name string
			var n int
			err := rows.Scan(&name, &n)
			if _, code, ok := access.ParseName(name); ok {
				counts[code] = n
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return counts, nil
}
