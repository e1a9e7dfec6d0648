package httpapi

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
)

//go:embed signin.html
var signInHTML string

//go:embed signin.js
var signInScript []byte

// signInTemplate is the one form behind all pages of signing in.
var signInTemplate = template.Must(template.New("sign-in").Parse(signInHTML))

// The pages run one script of ours, and send what is typed to nobody but us.
var headerSignIn = []string{"default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}

// signInPages show a form each. They read nothing and use nothing up: a token
// stands in the fragment of the page's address, which the browser keeps, and is
// sent when somebody presses the button.
var signInPages = []route{
	signInPage("/sign-in", signInForm{Title: "Sign in", Action: "sign-in", Email: true, Password: "current-password"}),
	signInPage("/activate", signInForm{Title: "Choose a password", Action: "activate", Password: "new-password"}),
	signInPage("/reset-password", signInForm{Title: "Choose a new password", Action: "reset-password", Password: "new-password"}),
	signInPage("/first-superuser", signInForm{Title: "Become the first superuser", Action: "first-superuser", Email: true, Name: true, Password: "new-password"}),
	{
		method: http.MethodGet, path: "/sign-in.js", tag: "Signing in", summary: "The script of the pages for signing in", media: "text/javascript",
		serve: func(c *call) error {
			c.g.Writer.Header()["Content-Type"] = []string{"text/javascript; charset=utf-8"}
			c.write(http.StatusOK, signInScript)
			return nil
		},
	},
}

// signInForm is what a page asks for.
type signInForm struct {
	Title, Action string
	Email, Name   bool
	Password      string // the kind, as browsers know it
}

func signInPage(path string, f signInForm) route {
	var page bytes.Buffer
	if err := signInTemplate.Execute(&page, f); err != nil {
		panic(err) // it is ours, and the first test would find it
	}
	return route{
		method: http.MethodGet, path: path, tag: "Signing in", summary: "Page: " + f.Title, media: "text/html",
		serve: func(c *call) error {
			h := c.g.Writer.Header()
			h["Content-Type"], h["Content-Security-Policy"] = []string{"text/html; charset=utf-8"}, headerSignIn
			c.write(http.StatusOK, page.Bytes())
			return nil
		},
	}
}
