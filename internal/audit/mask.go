package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Mask says what must not be written down as it was asked. Whatever it says,
// secrets never are: attributes whose names sound like one, and texts that look
// like one, are left out always.
type Mask struct {
	// Key makes the masks: equal values have equal masks under one key, and
	// without it nobody can guess values and compare. Required with Subjects and
	// Hashed.
	Key []byte
	// Subjects masks the ids of users, wherever they stand in an entry.
	Subjects bool
	// Hashed names what is replaced by its mask, Dropped what is left out:
	// "context.ip", "subject.email", "resource.id", "resource.owner",
	// "action.note", or "context.*" for all of it.
	Hashed, Dropped []string
}

// maskMark begins every mask.
const maskMark = "masked-"

// Check refuses names that mean nothing, and masks without a key.
func (m *Mask) Check(field string) error {
	for _, name := range slices.Concat(m.Hashed, m.Dropped) {
		part, of, _ := strings.Cut(name, ".")
		if of == "" || !slices.Contains([]string{"context", "subject", "resource", "action"}, part) {
			return access.Invalid(field, "%q is not context.NAME, subject.NAME, resource.NAME or action.NAME", name)
		}
	}
	if (m.Subjects || len(m.Hashed) > 0) && len(m.Key) < minMaskKey {
		return access.Invalid(field+"_key", "needs at least %d characters where something is masked; make one with openssl rand -hex 32", minMaskKey)
	}
	return nil
}

const minMaskKey = 32

// Subject gives a subject as it stands in the log: the search for one must ask
// for that.
func (m *Mask) Subject(s string) string {
	id, ok := strings.CutPrefix(s, "user:")
	if !m.Subjects || !ok || strings.HasPrefix(id, maskMark) {
		return s
	}
	return "user:" + m.hash(id)
}

func (m *Mask) hash(value string) string {
	h := hmac.New(sha256.New, m.Key)
	h.Write([]byte(value))
	return maskMark + hex.EncodeToString(h.Sum(nil)[:12])
}

// apply masks an answer. It belongs to us alone.
func (m *Mask) apply(r *access.Recorded) {
	q, hid := &r.Request, hidden{}
	m.attributes("subject", q.SubjectAttributes, hid)
	m.attributes("resource", q.ResourceAttributes, hid)
	m.attributes("action", q.ActionAttributes, hid)
	m.attributes("context", q.Context, hid)
	if rule := m.ruleFor("resource", "id"); rule != keep && q.Entity.ID != "" {
		hid["resource.id"] = true
		q.Entity.ID = m.text(rule, q.Entity.ID)
	}
	for i, v := range q.Raw {
		q.Raw[i] = m.secrets("request", v, hid)
	}
	if m.Subjects {
		m.subjects(r, hid)
	}
	if len(hid) > 0 {
		r.Masked = append(r.Masked, slices.Sorted(maps.Keys(hid))...)
	}
}

// hidden are the names of what was masked.
type hidden map[string]bool

// treatment is what becomes of a value.
type treatment int

const (
	keep treatment = iota
	hashed
	dropped
)

func (m *Mask) ruleFor(part, name string) treatment {
	named := func(list []string) bool {
		return slices.Contains(list, part+"."+name) || slices.Contains(list, part+".*")
	}
	switch {
	case named(m.Dropped):
		return dropped
	case named(m.Hashed):
		return hashed
	}
	return keep
}

func (m *Mask) text(t treatment, value string) string {
	if t == dropped {
		return ""
	}
	return m.hash(value)
}

func (m *Mask) attributes(part string, all map[string]any, hid hidden) {
	for name, value := range all {
		at := part + "." + name
		switch rule := m.ruleFor(part, name); {
		case rule == dropped || secretName(name):
			delete(all, name)
			hid[at] = true
		case rule == hashed:
			all[name] = m.hash(written(value))
			hid[at] = true
		default:
			all[name] = m.secrets(at, value, hid)
		}
	}
}

// secrets takes what looks like a secret out of a value, however deep.
func (m *Mask) secrets(at string, value any, hid hidden) any {
	switch v := value.(type) {
	case string:
		if secretText(v) {
			hid[at] = true
			return ""
		}
	case []any:
		for i := range v {
			v[i] = m.secrets(at, v[i], hid)
		}
	case map[string]any:
		for name := range v {
			if secretName(name) {
				delete(v, name)
				hid[at+"."+name] = true
				continue
			}
			v[name] = m.secrets(at+"."+name, v[name], hid)
		}
	}
	return value
}

// secretNames are parts of names, without - and _, by which secrets go.
var secretNames = []string{"password", "passwd", "passphrase", "passwort", "kennwort", "secret", "token", "authorization", "cookie", "apikey", "privatekey", "credential", "sessionid"}

var unmarked = strings.NewReplacer("-", "", "_", "", ".", "", " ", "")

func secretName(name string) bool {
	plain := strings.ToLower(unmarked.Replace(name))
	return slices.ContainsFunc(secretNames, func(s string) bool { return strings.Contains(plain, s) })
}

// secretText knows our own API keys, bearer tokens and JSON web tokens.
func secretText(s string) bool {
	return strings.HasPrefix(s, "bw_") && len(s) > 40 || len(s) > 7 && strings.EqualFold(s[:7], "bearer ") ||
		strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") == 2 || strings.Contains(s, "-----BEGIN ")
}

// subjects masks the ids of users in everything that may hold one.
func (m *Mask) subjects(r *access.Recorded, hid hidden) {
	q := &r.Request
	if q.Subject.Kind == access.KindUser && q.Subject != access.Anonymous {
		q.Subject.ID = m.hash(q.Subject.ID)
		hid["subject"] = true
	}
	if len(q.Raw) > 0 {
		q.Raw[0] = m.hash(written(q.Raw[0]))
		hid["request"] = true
	}
	if id, ok := strings.CutPrefix(r.Caller, "user:"); ok {
		r.Caller = "user:" + m.hash(id)
	}
	if rule := r.Decision.Rule; rule != nil {
		if id, ok := rule.User(); ok || len(q.Raw) > 0 && len(rule.Values) > 0 {
			values := slices.Clone(rule.Values)
			if values[0] = "u:" + m.hash(id); !ok {
				values[0] = m.hash(rule.Values[0])
			}
			r.Decision.Rule = &access.Rule{Type: rule.Type, Values: values}
		}
	}
	if r.Decision.Reason == access.ReasonRequestInvalid {
		r.Decision.Detail = "" // it may quote what was asked
	}
}
