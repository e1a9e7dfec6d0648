package plan

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Request is one question to a model.
type Request struct {
	Set    string // "" for the definitions r, p, e and m; "2" for r2, p2, e2 and m2
	Values []any  // one for each field of the request definition
}

// maxDepth bounds how deep objects of a question may be nested.
const maxDepth = 32

// ParseRequest reads a question from JSON: an array of values, with objects for
// things that have attributes, or {"context_set": "2", "request": [...]} for
// another set of definitions; context, which is Casbin's word, means the same.
// Numbers become float64, as everywhere in Casbin.
func ParseRequest(text []byte) (Request, error) {
	text = bytes.TrimSpace(text)
	if len(text) > 0 && text[0] == '{' {
		var r struct {
			Context string `json:"context"`
			Set     string `json:"context_set"`
			Request []any  `json:"request"`
		}
		if err := strictly(text, &r); err != nil {
			return Request{}, err
		}
		if r.Request == nil {
			return Request{}, access.Invalid("request", "is missing")
		}
		if r.Context != "" && r.Set != "" {
			return Request{}, access.Invalid("context_set", "stands beside context, which means the same")
		}
		return Request{Set: cmp.Or(r.Set, r.Context), Values: r.Request}, nil
	}
	var values []any
	if err := strictly(text, &values); err != nil {
		return Request{}, err
	}
	if values == nil {
		return Request{}, access.Invalid("request", "write an array of values, or an object with context and request")
	}
	return Request{Values: values}, nil
}

func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return access.Invalid("request", "cannot be read: %s", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return access.Invalid("request", "is followed by something else")
	}
	return nil
}

// question is a request that is being answered, with room to think. It is used
// again for other requests, so that an answer costs no memory.
type question struct {
	ctx    context.Context //nolint:containedctx // it is the question's, and goes with it
	set    *set
	values []any
	words  []word   // of the values that are texts
	row    []uint32 // the rule that the interpreter looks at; nil for none

	members []members // by slot, who somebody is
	reached numbers
	sources []source
	rows    []uint32
	hashes  []uint64
	keys    []uint64
	spare   []uint64
	clock   func() time.Time
	moment  time.Time
}

// members is what a linkedTo has found out for this question.
type members struct {
	known bool
	roles numbers
}

func (q *question) ask(s *set, values []any) error {
	if len(values) != len(s.request) {
		return access.Invalid("request", "has %d values; the model's %s wants %d", len(values), s.parts.r, len(s.request))
	}
	q.set, q.row, q.moment = s, nil, time.Time{}
	q.values, q.words = q.values[:0], q.words[:0]
	for i, v := range values {
		text, isText := v.(string)
		w := word{id: unknown}
		if isText {
			w = word{s.world.names.find(text), text}
		} else {
			var err error
			if v, err = s.settled(i, v); err != nil {
				return access.Invalid("request."+s.request[i][len(s.parts.r)+1:], "%s", err)
			}
		}
		q.values, q.words = append(q.values, v), append(q.words, w)
	}
	for len(q.members) < len(s.links) {
		q.members = append(q.members, members{})
	}
	for i := range s.links {
		q.members[i].known = false
	}
	return nil
}

// forget lets go of what belongs to the caller.
func (q *question) forget() {
	clear(q.values)
	clear(q.words)
	q.ctx, q.set, q.row = nil, nil, nil
}

// now is the same moment throughout a question.
func (q *question) now() time.Time {
	if q.moment.IsZero() {
		q.moment = q.clock()
	}
	return q.moment
}

// reach gives who the member of t is.
func (q *question) reach(t *linkedTo) *numbers {
	m := &q.members[t.slot]
	if !m.known {
		m.known = true
		m.roles.clear()
		from := t.roles.sources(t.domain.both(q, nil), &q.sources)
		t.roles.reach(&m.roles, t.member.id(q, nil), from, q.now())
	}
	return &m.roles
}

// conforms tells whether the terms of the set are total for this question: what
// goes into a function must be a text, and for ipMatch an address. Where it is
// not, stock Casbin may err at a rule, and every rule must be looked at.
func (q *question) conforms() bool {
	if switches.noStringCheck {
		return true
	}
	for i, v := range q.values {
		if q.set.wantsText&(1<<i) == 0 {
			continue
		}
		if _, text := v.(string); !text {
			return false
		}
		if q.set.wantsIP&(1<<i) != 0 && net.ParseIP(q.words[i].text) == nil {
			return false
		}
	}
	return true
}

// settled makes a value that is no text ready for field i.
func (s *set) settled(i int, v any) (any, error) {
	if _, list := v.([]any); list && s.spreads&(1<<i) != 0 {
		return nil, errors.New("must not be a list: Casbin would spread it over the arguments of a function")
	}
	return settle(v, maxDepth)
}

// settle refuses values on which the interpreter could call methods, turns whole
// numbers into floats as it would, and cuts the spare room of lists, into which
// it would write.
func settle(v any, depth int) (any, error) {
	if depth == 0 {
		return nil, errors.New("is nested too deep")
	}
	switch v := v.(type) {
	case nil, string, bool, float64:
		return v, nil
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case json.Number:
		n, err := v.Float64()
		if err != nil {
			return nil, errors.New("is no number")
		}
		return n, nil
	case []any:
		return settleList(v, depth)
	case map[string]any:
		return settleObject(v, depth)
	}
	return nil, errors.New("must be a text, a number, true, false, null, a list or an object")
}

func settleList(list []any, depth int) (any, error) {
	settled := make([]any, len(list))
	for i, v := range list {
		var err error
		if settled[i], err = settle(v, depth-1); err != nil {
			return nil, err
		}
	}
	return slices.Clip(settled), nil
}

func settleObject(object map[string]any, depth int) (any, error) {
	settled := make(map[string]any, len(object))
	for key, v := range object {
		var err error
		if settled[key], err = settle(v, depth-1); err != nil {
			return nil, err
		}
	}
	return settled, nil
}
