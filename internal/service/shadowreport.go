package service

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/bailiwick/bailiwick/internal/access"
)

// difference is what stock Casbin answers otherwise.
type difference struct {
	what  string
	stock access.Decision
	err   error // why there is no answer
}

// differ compares decision, reason, failure and, where stock Casbin names one,
// the deciding rule.
func differ(ours, stock *access.Decision) *difference {
	what := ""
	switch {
	case ours.Allowed != stock.Allowed:
		what = "the decision differs"
	case ours.Reason != stock.Reason:
		what = "the reason differs"
	case failed(ours) != failed(stock):
		what = "one of both could not be evaluated"
	case stock.Rule != nil && (ours.Rule == nil || !ours.Rule.Same(*stock.Rule)):
		what = "the deciding rule differs"
	default:
		return nil
	}
	return &difference{what: what, stock: *stock}
}

// failed tells whether a model could not be evaluated, which is a denial whose
// detail says why.
func failed(d *access.Decision) bool { return d.Reason == access.ReasonNoGrant && d.Detail != "" }

// reports remember what has been told.
type reports struct {
	salt  [16]byte
	told  map[string]bool // digests of questions
	first string          // in words
}

// mostTold bounds how many questions are logged.
const mostTold = 1000

func newReports() reports {
	r := reports{told: map[string]bool{}}
	_, _ = rand.Read(r.salt[:]) // never fails
	return r
}

// digest tells questions apart. It is salted, so that nobody can guess from
// a log what attributes a question had.
func (r *reports) digest(tenant string, q *access.Request) string {
	h := sha256.New()
	h.Write(r.salt[:])
	_ = json.NewEncoder(h).Encode([]any{tenant, q}) // what cannot be written is told apart less well
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// report counts a difference, and logs it once for each question. Names of
// attributes and their values are never logged.
func (s *Shadow) report(q *sample, d *difference) {
	s.differences.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.reported
	if r.first == "" {
		r.first = fmt.Sprintf("first in tenant %q at revision %d", q.tenant, q.answer.Revision)
	}
	digest := r.digest(q.tenant, &q.request)
	if r.told[digest] || len(r.told) >= mostTold {
		return
	}
	r.told[digest] = true
	s.opts.Log.LogAttrs(context.Background(), slog.LevelError, "stock Casbin answers otherwise",
		slog.String("what", d.what), slog.String("tenant", q.tenant), slog.Uint64("revision", uint64(q.answer.Revision)),
		slog.String("digest", digest), asked(&q.request), told("ours", &q.answer), told("stock", &d.stock), slog.Any("error", d.err))
	if len(r.told) == mostTold {
		s.opts.Log.Error("further differences are counted and not logged", "logged", mostTold)
	}
}

// asked are the names in a question.
func asked(r *access.Request) slog.Attr {
	if r.Raw == nil {
		return slog.Group("question", "subject", r.Subject.String(), "actions", r.Actions, "section", r.Section,
			"scope", r.Scope, "type", r.Entity.Type, "id", r.Entity.ID)
	}
	var names []string
	for _, v := range r.Raw {
		if name, ok := v.(string); ok {
			names = append(names, name)
		} else {
			names = append(names, "(attributes)")
		}
	}
	return slog.Group("question", "request", names, "set", r.RawSet)
}

func told(side string, d *access.Decision) slog.Attr {
	rule := ""
	if d.Rule != nil {
		rule = d.Rule.String()
	}
	return slog.Group(side, "allowed", d.Allowed, "reason", d.Reason, "rule", rule)
}

// Warnings are for operators, in words: differences since the start, and stock
// Casbin hanging at this moment.
func (s *Shadow) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	if n := s.differences.Load(); n > 0 {
		all = append(all, fmt.Sprintf("%d answers differ from those of stock Casbin, %s; the log says which, and a restart forgets it", n, s.reported.first))
	}
	if s.stuck != "" {
		all = append(all, fmt.Sprintf("nothing is compared: stock Casbin does not come back from tenant %q", s.stuck))
	}
	return all
}

// ShadowCounts is what can be measured about shadow mode, since the start.
type ShadowCounts struct {
	Compared    uint64            // answers that stock Casbin gave again
	Differences uint64            // those of them that came out otherwise
	Skipped     map[string]uint64 // chosen answers that were not compared, by reason
}

// Counts measures.
func (s *Shadow) Counts() ShadowCounts {
	c := ShadowCounts{Compared: s.compared.Load(), Differences: s.differences.Load(), Skipped: map[string]uint64{}}
	for i, name := range skips {
		c.Skipped[name] = s.skipped[i].Load()
	}
	return c
}
