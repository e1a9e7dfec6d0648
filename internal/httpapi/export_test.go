package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// Route shows a line of the table of routes to tests.
type Route struct {
	Method, Path, Need, Tag, Summary, Text, Media string
	Body, Answer, Also                            any
	Status                                        int
	Change                                        bool
	Query                                         []Param
	Makes, Takes                                  []string
	Tags                                          bool   // its good answers can carry an ETag
	Thing                                         string // what it is about; empty: several
	Once                                          bool   // takes an Idempotency-Key
	Rehearsed                                     bool   // can be a dry run
}

// Param shows a declared parameter of a query. Type is that of JSON Schema.
type Param struct {
	Name, Type, Format, Text string
	Enum                     []string
	Min, Max                 int
}

func thingOf(r *route) string {
	kind, _ := r.thing()
	return kind
}

func paramsOf(r *route) []Param {
	var all []Param
	for _, p := range r.query {
		w := Param{Name: p.name, Type: "string", Text: p.text, Enum: p.oneOf, Min: p.min, Max: p.max}
		switch p.kind {
		case numberParam:
			w.Type = "integer"
		case flagParam:
			w.Type = "boolean"
		case momentParam:
			w.Format = "date-time"
		case wordParam, stateParam:
			if w.Max == 0 {
				w.Max = maxIDBytes
			}
		}
		all = append(all, w)
	}
	return all
}

// Routes shows the table of routes.
func Routes() []Route {
	var all []Route
	for _, r := range allRoutes() {
		all = append(all, Route{
			Method: r.method, Path: r.path, Need: string(r.need), Tag: r.tag, Summary: r.summary, Text: r.text, Media: r.media,
			Body: r.body, Answer: r.answer, Also: r.also, Status: r.answerStatus(), Change: r.change, Query: paramsOf(r), Makes: r.makes, Takes: r.takes, Tags: r.tags(), Thing: thingOf(r), Once: r.once(), Rehearsed: r.rehearsed,
		})
	}
	return all
}

// DecodeRequest reads a body as /v1/enforce does.
func DecodeRequest(body []byte) (api.Request, error) {
	var to api.Request
	err := decodeBody(body, func(r *reader) error { return r.request(&to) })
	return to, err
}

// DecodeAny reads a body of free form.
func DecodeAny(body []byte) (v any, err error) {
	err = decodeBody(body, func(r *reader) error {
		var err error
		v, err = r.any()
		return err
	})
	return v, err
}

func decodeBody(body []byte, read func(*reader) error) error {
	r := readers.Get().(*reader)
	defer r.release()
	r.body = append(r.body[:0], body...)
	if err := r.decode(func() error { return read(r) }); err != nil {
		return err
	}
	return r.wrong
}

// AppendDecision writes a decision as the fast path does.
func AppendDecision(tenant string, d *access.Decision) json.RawMessage {
	return (&reader{}).appendDecision(nil, tenant, d)
}

// ProblemOf shows what becomes of an error.
func ProblemOf(err error) api.Problem { return problemOf(err) }

// HTTP shows the server that was built.
func HTTP(s *Server) *http.Server { return s.http }

// NeedSession is what routes about oneself need.
const NeedSession = needSession

// MaxForetold is how many consequences one document lists.
var MaxForetold = &maxForetold
