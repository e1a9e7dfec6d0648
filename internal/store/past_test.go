package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestLoadAt_bounded: an earlier state that differs in too much from what is
// stored is refused by name, in either direction, and a nearer one is not. What
// changes again and again counts once.
func TestLoadAt_bounded(t *testing.T) {
	onEach(t, func(d database) {
		s := accesstest.OpenStore(d.t, d.options)
		p := accesstest.StorePolicy(access.DefaultTenant)
		apply(d.t, s, p)
		first := load(d.t, s, access.DefaultTenant).Revision
		for i := range 300 {
			p.Groups = append(p.Groups, access.Group{Code: fmt.Sprint("more-", i), Name: strings.Repeat("x", 90), Kind: access.GroupRegular})
		}
		apply(d.t, s, p)
		many := load(d.t, s, access.DefaultTenant).Revision
		for i := range 50 {
			p.Groups[0].Name = fmt.Sprint("name ", i)
			apply(d.t, s, p)
		}
		last := load(d.t, s, access.DefaultTenant).Revision
		p.Groups = p.Groups[:len(p.Groups)-300]
		apply(d.t, s, p)
		defer store.PastBytes(20_000)()
		for at, refused := range map[access.Revision]bool{first: false, many: true, many + 20: true, last: true, last + 1: false} {
			_, err := s.LoadAt(d.t.Context(), access.DefaultTenant, at)
			if (err != nil) != refused || refused && (!errors.Is(err, access.ErrNotFound) || !strings.Contains(err.Error(), fmt.Sprintf("revision %d cannot be rebuilt", at))) {
				d.t.Errorf("as of revision %d of %d: %v", at, last+1, err)
			}
		}
	})
}
