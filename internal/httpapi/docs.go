package httpapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/bailiwick/bailiwick/api"
)

//go:embed docs.html
var docsHTML string

// The page loads nothing and runs nothing: its one style sheet stands in it.
var headerDocs = []string{"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}

func (c *call) openAPI() error { return c.answer(http.StatusOK, api.OpenAPI()) }

func (c *call) docs() error {
	h := c.g.Writer.Header()
	h["Content-Type"] = []string{"text/html; charset=utf-8"}
	h["Content-Security-Policy"] = headerDocs
	c.write(http.StatusOK, c.api.docs)
	return nil
}

// docsPage is the description of the API for people. The types are those of the
// OpenAPI document.
var docsPage = sync.OnceValues(func() ([]byte, error) {
	var spec struct {
		Components struct {
			Schemas map[string]schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(api.OpenAPI(), &spec); err != nil {
		return nil, fmt.Errorf("read openapi.json: %w", err)
	}
	page, err := template.New("docs").Funcs(template.FuncMap{"name": typeName}).Parse(docsHTML)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{
		"Tags":   []string{"Decisions", "AuthZEN", "Administration", "Directory", "Signing in", "Operation"},
		"Routes": docsRoutes(), "Schemas": spec.Components.Schemas, "Problems": append(append([]kind(nil), kinds...), internal),
		"Limits": limits(),
	})
	return out.Bytes(), err
})

type schema struct {
	Description string            `json:"description"`
	Properties  map[string]member `json:"properties"`
	Required    []string          `json:"required"`
}

type member struct {
	Description string   `json:"description"`
	Ref         string   `json:"$ref"`
	Type        any      `json:"type"`
	Format      string   `json:"format"`
	Items       *member  `json:"items"`
	AllOf       []member `json:"allOf"`
}

// Of gives the name of the described type that this is or holds.
func (m member) Of() string {
	switch {
	case m.Ref != "":
		return m.Ref[strings.LastIndexByte(m.Ref, '/')+1:]
	case len(m.AllOf) > 0:
		return m.AllOf[0].Of()
	case m.Items != nil:
		return m.Items.Of()
	}
	return ""
}

// Kind says in words what this is.
func (m member) Kind() string {
	switch {
	case m.Items != nil:
		return "list of " + m.Items.Kind()
	case m.Of() != "":
		return m.Of()
	case m.Format == "date-time":
		return "time"
	}
	if text, ok := m.Type.(string); ok {
		return text
	}
	return "any"
}

type docsRoute struct {
	Tag, Method, Path, Summary, Text, Need string
	Body, Answer                           string
	Status                                 int
	EveryTenant                            bool
}

func docsRoutes() []docsRoute {
	var all []docsRoute
	for i := range routes {
		r := &routes[i]
		all = append(all, docsRoute{
			Tag: r.tag, Method: r.method, Path: r.path, Summary: r.summary, Text: r.text, Need: string(r.need),
			Body: typeName(r.body), Answer: typeName(r.answer), Status: r.answerStatus(), EveryTenant: r.everyTenant,
		})
	}
	return all
}

func (r *route) answerStatus() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

func typeName(v any) string {
	if v == nil {
		return ""
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", v), "api.")
}

// Code, Status and Title let the page show the table of problems.
func (k kind) Code() string  { return k.code }
func (k kind) Status() int   { return k.status }
func (k kind) Title() string { return k.title }

func limits() []string {
	return []string{
		fmt.Sprintf("A body has at most %d bytes, a policy %d; objects and arrays nest at most %d deep, an object has at most %d members.", maxBody, maxPolicyBody, maxDepth, maxMembers),
		fmt.Sprintf("A string that names something has at most %d bytes; the name of a subject or section at most 100.", maxIDBytes),
		fmt.Sprintf("A list holds at most %d questions. Request line and headers have at most %d bytes, an X-Request-ID %d.", maxBatch, maxHead, maxRequestID),
		fmt.Sprintf("An answer takes at most %s, a policy %s.", requestTime, policyTime),
	}
}
