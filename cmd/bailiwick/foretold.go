package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/bailiwick/bailiwick/api"
)

// concerned tells how many a change concerns.
func concerned(x *api.Consequences) string {
	if x.Foreign {
		return "consequences cannot be told: the tenant has, or would have, a Casbin model of its own"
	}
	return fmt.Sprintf("%s would lose rights, %d would gain, %d would hold some otherwise; %s and %s are concerned",
		plural(x.UsersLosing, "user", "users"), x.UsersGaining, x.UsersChanging,
		plural(x.Groups, "group", "groups"), plural(x.Applications, "application", "applications"))
}

// turnColours are what turns are written in.
var turnColours = map[string]string{"lost": red, "gained": green, "changed": yellow}

func writeConsequences(w io.Writer, x *api.Consequences, colour bool) {
	tint := func(turn string) string { return paint(turn, turnColours[turn], colour) }
	section(w, "consequences", x.Total)
	for _, who := range x.SuperusersMade {
		fmt.Fprintf(w, "  %s user %s becomes a superuser\n", tint("gained"), who)
	}
	for _, who := range x.SuperusersLost {
		fmt.Fprintf(w, "  %s user %s is a superuser no longer\n", tint("lost"), who)
	}
	for i := range x.All {
		fmt.Fprintf(w, "  %s %s\n", tint(x.All[i].Turn), consequence(&x.All[i]))
	}
	if more := x.Total - len(x.All); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}

// writeForetold tells what a change would do; nothing where it was made.
func (c *cli) writeForetold(w io.Writer, f *api.Foretold) {
	if f.Consequences == nil {
		return
	}
	fmt.Fprintln(w, concerned(f.Consequences))
	for _, b := range f.Broken {
		fmt.Fprintf(w, "broken: %s\n", b.Text)
	}
	writeConsequences(w, f.Consequences, colours(c.out))
}

// rehearsed tells what a change of the directory would do.
func (c *cli) rehearsed(answer thing) error {
	var r api.Rehearsal
	text, err := json.Marshal(answer)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "nothing was changed; the tenant is at revision %d\n", r.BaseRevision)
	c.writeForetold(c.out, &r.Foretold)
	return nil
}

// paged shows an answer that may be long.
func (c *cli) paged(v any, text func(io.Writer)) error {
	if c.format == "json" {
		return writeJSON(c.out, v)
	}
	var b bytes.Buffer
	text(&b)
	return c.page(b.Bytes())
}
