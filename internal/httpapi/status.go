package httpapi

import (
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

func (c *call) status() error {
	if c.api.o.Replicas == nil {
		return errRoute
	}
	s, err := c.api.o.Replicas.Status(c.ctx(), c.caller)
	if err != nil {
		return err
	}
	w := api.Status{Replica: replicaOf(service.ReplicaStatus{Replica: s.Self}), Tenants: []api.TenantStatus{}, Trouble: s.Trouble}
	for i := range s.Tenants {
		w.Tenants = append(w.Tenants, tenantStatusOf(&s.Tenants[i]))
	}
	for _, r := range s.Replicas {
		w.Replicas = append(w.Replicas, replicaOf(r))
	}
	for _, x := range s.Caches {
		w.Caches = append(w.Caches, api.CacheStatus(x))
	}
	if s.Mail != nil {
		w.Mail = mailStatusOf(*s.Mail)
	}
	if c.caller.Tenant == access.AllTenants {
		w.Work = c.api.places.status()
	}
	return c.reply(http.StatusOK, w)
}

func mailStatusOf(m service.MailReport) *api.MailStatus {
	w := &api.MailStatus{State: "ok", Trouble: m.Trouble, Waiting: m.Waiting, Oldest: utc(m.Oldest), Failed: m.Failed, Sent: m.Sent}
	switch {
	case !m.Configured:
		w.State = "off"
	case m.Trouble != "":
		w.State = "failing"
	}
	return w
}

func replicaOf(r service.ReplicaStatus) api.Replica {
	return api.Replica{
		ID: r.ID, Address: r.Address, Version: r.Version, Started: utc(r.Started), Seen: utc(r.Seen), Gone: r.Gone,
		Tenants: r.Tenants, Behind: r.Behind, Lag: r.Lag,
	}
}

func tenantStatusOf(t *service.TenantStatus) api.TenantStatus {
	w := api.TenantStatus{
		Code: t.Tenant, Revision: uint64(t.Revision), Head: uint64(t.Head.Revision), Lag: t.Lag(), Epoch: t.Epoch,
		PolicyRevision: uint64(t.Policy), Trouble: t.Trouble, Rules: t.Rules, Users: t.Users, Fetched: t.Fetched,
		Plans: []api.Plan{},
	}
	for _, p := range t.Plans {
		w.Plans = append(w.Plans, api.Plan(p))
	}
	if t.Age >= 0 {
		millis := t.Age.Milliseconds()
		w.Age = &millis
	}
	return w
}

// status tells how much of each kind of work is being done.
func (p *places) status() []api.WorkStatus {
	all := make([]api.WorkStatus, works)
	for w := range works {
		r := &p.rooms[w]
		all[w] = api.WorkStatus{
			Work: w.String(), InFlight: len(r.taken), Places: cap(r.taken), Queued: int(r.waiting.Load()), Refused: r.refused.Load(),
		}
	}
	return all
}
