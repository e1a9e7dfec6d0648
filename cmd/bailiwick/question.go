package main

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// question is what the words and flags of commands that ask say.
type question struct {
	scope      string
	resource   string
	context    []string
	attributes []string
	subject    []string
	raw        bool
	contextSet string
	asOf       string
}

func (q *question) flags(f *pflag.FlagSet) {
	q.searchFlags(f)
	f.BoolVar(&q.raw, "raw", false, "the words are the request of the tenant's own Casbin model, in its order; one that begins with { is an object")
	f.StringVar(&q.contextSet, "context-set", "", "with --raw, which definitions answer: 2 for r2, p2, e2 and m2")
}

func (q *question) searchFlags(f *pflag.FlagSet) {
	f.StringVar(&q.asOf, "as-of", "", "ask an earlier state of a server: the number of a revision, or a time such as 2026-03-01T12:00:00Z")
	f.StringVar(&q.scope, "scope", "", "which entities, for instance store:eu-1; everywhere when left out")
	f.StringVar(&q.resource, "resource", "", "the record it is about, as type:id, for conditions")
	f.StringArrayVar(&q.attributes, "attr", nil, "attribute of the record: name=text, name:=JSON, or a JSON object; repeatable")
	f.StringArrayVar(&q.subject, "subject-attr", nil, "attribute of the subject, written likewise; repeatable")
	f.StringArrayVar(&q.context, "context", nil, "what conditions see as context, written likewise; repeatable")
}

// request reads the words SUBJECT ACTION SECTION, or with --raw any words.
func (q *question) request(words []string) (api.Request, error) {
	if q.raw {
		return q.rawRequest(words)
	}
	if q.contextSet != "" {
		return api.Request{}, usage("--context-set is for --raw")
	}
	if len(words) != 3 {
		return api.Request{}, usage("write SUBJECT ACTION SECTION, for instance: user:operator-1 show Calls.Queue")
	}
	around, err := q.circumstances()
	if err != nil {
		return api.Request{}, err
	}
	r := api.Request{
		Subject: words[0], Action: actions(words[1]), Section: words[2], Scope: around.Scope,
		Resource: around.Resource, SubjectAttributes: around.SubjectAttributes, Context: around.Context, Consistency: around.Consistency,
	}
	return r, wellFormed(r)
}

// circumstances is what the flags say.
func (q *question) circumstances() (api.Circumstances, error) {
	around := api.Circumstances{Scope: q.scope, Consistency: api.Consistency{AsOf: q.asOf}}
	var err error
	if around.Context, err = values("--context", q.context); err != nil {
		return around, err
	}
	if around.SubjectAttributes, err = values("--subject-attr", q.subject); err != nil {
		return around, err
	}
	around.Resource, err = q.record()
	return around, err
}

func (q *question) rawRequest(words []string) (api.Request, error) {
	raw := make([]any, len(words))
	for i, w := range words {
		raw[i] = w
		if !strings.HasPrefix(w, "{") {
			continue
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(w), &object); err != nil {
			return api.Request{}, usage("%q is not a JSON object: %w", w, err)
		}
		raw[i] = object
	}
	return api.Request{Request: raw, ContextSet: q.contextSet, Consistency: api.Consistency{AsOf: q.asOf}}, nil
}

// actions reads a name, several joined by commas, or a sum of rights.
func actions(word string) api.Actions {
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return api.Actions{Sum: n}
	}
	return api.Do(strings.Split(word, ",")...)
}

func (q *question) record() (*api.Resource, error) {
	attributes, err := values("--attr", q.attributes)
	if err != nil || (q.resource == "" && attributes == nil) {
		return nil, err
	}
	kind, id, ok := strings.Cut(q.resource, ":")
	if q.resource != "" && !ok {
		return nil, usage("--resource: %q is not type:id, for instance order:17", q.resource)
	}
	return &api.Resource{Type: kind, ID: id, Attributes: attributes}, nil
}

// wellFormed refuses here what any server would, so that the same mistake ends
// with the same words and exit code wherever the question goes.
func wellFormed(r api.Request) error {
	subject, err := access.ParseSubject("subject", r.Subject)
	if err != nil {
		return usage("%w", err)
	}
	own := access.Request{Subject: subject, Section: access.Section(r.Section), Scope: access.Scope(r.Scope)}
	for _, name := range r.Action.Names {
		own.Actions = append(own.Actions, access.Action(name))
	}
	if r.Action.Sum != 0 || len(r.Action.Names) == 0 {
		if own.Actions, err = access.ActionsOf("action", r.Action.Sum); err != nil {
			return usage("%w", err)
		}
	}
	if err := own.Check(); err != nil {
		return usage("%w", err)
	}
	return nil
}

// values reads name=text, name:=JSON and whole JSON objects; later ones win.
func values(flag string, given []string) (map[string]any, error) {
	if len(given) == 0 {
		return nil, nil
	}
	all := map[string]any{}
	for _, g := range given {
		if strings.HasPrefix(strings.TrimSpace(g), "{") {
			if err := json.Unmarshal([]byte(g), &all); err != nil {
				return nil, usage("%s: %q is not a JSON object: %w", flag, g, err)
			}
			continue
		}
		name, text, ok := strings.Cut(g, "=")
		if !ok || name == "" {
			return nil, usage("%s: %q is neither name=text nor name:=JSON nor a JSON object", flag, g)
		}
		var value any = text
		if typed, isJSON := strings.CutSuffix(name, ":"); isJSON {
			name = typed
			if err := json.Unmarshal([]byte(text), &value); err != nil {
				return nil, usage("%s: %q is not JSON: %w", flag, text, err)
			}
		}
		all[name] = value
	}
	return all, nil
}
