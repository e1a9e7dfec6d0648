package store

import (
	"fmt"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// counters are what the history says about a tenant besides its rows.
type counters struct {
	stripes map[access.Stripe]access.Revision // newest change of each since the epoch
	policy  access.Revision                   // newest change of more than single users
	epoch   access.Revision                   // when the epoch was renewed last; 0: never
}

// take notes a change. line is that of a rule.
func (c *counters) take(change changeRow, line []string) {
	if event(change.Kind) {
		return
	}
	switch change.Kind {
	case kindKey:
	case kindUser:
		c.stripes[access.StripeOf(change.Name)] = change.Revision
	case kindRule:
		if id, ok := userOf(line); ok {
			c.stripes[access.StripeOf(id)] = change.Revision
			return
		}
		c.policy = change.Revision
	case kindEpoch: // nobody remembers anything from before
		clear(c.stripes)
		c.policy, c.epoch = change.Revision, change.Revision
	default:
		c.policy = change.Revision
	}
}

// userOf gives the user whose own a line is; it begins with the rule's type.
func userOf(line []string) (string, bool) {
	if len(line) < 2 {
		return "", false
	}
	return access.Rule{Type: line[0], Values: line[1:]}.User()
}

// counted compares what the tenant's row counts with what the history adds up
// to: the rows that are there, without those that no revision wrote and with
// those that are missing.
func (d *drift) counted() {
	rules, own, users := d.rules, d.userRules, d.users
	for _, found := range d.differences() {
		n := int64(1)
		if found.There {
			n = -1
		}
		switch found.Kind {
		case kindUser:
			users += n
		case kindRule:
			rules += n
			if _, ok := userOf(strings.Split(found.Name, ", ")); ok {
				own += n
			}
		}
	}
	d.differs("rules", d.tenant.Rules, rules)
	d.differs("user_rules", d.tenant.UserRules, own)
	d.differs("users", d.tenant.Users, users)
	if p := d.tenant.PolicyRevision; p < d.log.policy || p > d.tenant.Revision {
		d.differs("policy_revision", int64(p), int64(d.log.policy)) //nolint:gosec // the database keeps them so
	}
}

func (d *drift) differs(counter string, is, shall int64) {
	if is != shall {
		d.found = append(d.found, Drift{Kind: "counter", Name: fmt.Sprintf("%s %d", counter, is), There: true},
			Drift{Kind: "counter", Name: fmt.Sprintf("%s %d", counter, shall)})
	}
}

// striped compares the stripes with the newest changes of their users. Those
// from before the epoch mean nothing any more.
func (d *drift) striped() error {
	there, err := d.stripes()
	if err != nil {
		return err
	}
	since := d.tenant.PolicyRevision + 1
	for stripe, is := range there {
		since = min(since, is)
		if shall := d.log.stripes[stripe]; is != shall && (shall != 0 || is > d.log.epoch) {
			d.stripe(stripe, is, true)
		}
	}
	for stripe, shall := range d.log.stripes {
		// A database of the first version has kept none before it was migrated.
		if is, kept := there[stripe]; is != shall && (kept || shall >= since) {
			d.stripe(stripe, shall, false)
		}
	}
	return nil
}

func (d *drift) stripe(stripe access.Stripe, at access.Revision, there bool) {
	d.found = append(d.found, Drift{Kind: "stripe", Name: fmt.Sprintf("%d at revision %d", stripe, at), There: there})
}
