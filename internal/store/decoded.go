package store

import (
	"cmp"
	"slices"
	"sync"

	"github.com/bailiwick/bailiwick/internal/access"
)

// What is read of a tenant most often is its policy as a whole, which takes ten
// thousand times as long to decode as to look at. So the last one of each tenant
// stays in memory. It is used for a reading at exactly its epoch and revision,
// which no other policy ever has.

// maxDecoded is how many bytes of documents are kept decoded, of all tenants
// together. They take about four times as much in memory.
const maxDecoded = 16 << 20

// policies are those of some tenants, the longest unused one first.
type policies struct {
	sync.Mutex
	all  []decodedPolicy
	most int // bytes of all; maxDecoded when 0
}

// decodedPolicy is one at a revision.
type decodedPolicy struct {
	tenant   int64
	epoch    string
	revision access.Revision
	size     int // bytes of its documents
	policy   *access.Policy
}

// at gives the policy of a reading; nil where it is not there. The caller may set
// the fields of what he gets; what they hold belongs to everybody.
func (ps *policies) at(t *tenantRow) *access.Policy {
	ps.Lock()
	defer ps.Unlock()
	at := slices.IndexFunc(ps.all, func(d decodedPolicy) bool {
		return d.tenant == t.ID && d.epoch == t.Epoch && d.revision == t.Revision
	})
	if at < 0 {
		return nil
	}
	d := ps.all[at]
	ps.all = append(slices.Delete(ps.all, at, at+1), d)
	p := *d.policy
	return &p
}

// keep puts a policy in the place of an older one of its tenant. A reading that
// began long ago does not push out a newer one.
func (ps *policies) keep(t *tenantRow, p *access.Policy, size int) {
	own := *p
	ps.Lock()
	defer ps.Unlock()
	room := cmp.Or(ps.most, maxDecoded)
	newer := func(d decodedPolicy) bool {
		return d.tenant == t.ID && d.epoch == t.Epoch && d.revision > t.Revision
	}
	if size > room || slices.ContainsFunc(ps.all, newer) {
		return
	}
	ps.all = slices.DeleteFunc(ps.all, func(d decodedPolicy) bool { return d.tenant == t.ID })
	ps.all = append(ps.all, decodedPolicy{t.ID, t.Epoch, t.Revision, size, &own})
	for i := len(ps.all) - 1; i >= 0; i-- {
		if room -= ps.all[i].size; room < 0 {
			ps.all = slices.Delete(ps.all, 0, i+1)
			return
		}
	}
}
