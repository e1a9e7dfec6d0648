package access

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Functions are what an application that uses Casbin registers in its code. A
// tenant with a Casbin model of its own declares them instead. The maps are by
// role definition, "g" or "g2", and hold names from Casbin's list.
type Functions struct {
	// Roles makes the names in a role definition patterns, compared by one of
	// MatchingFunctions.
	Roles map[string]string
	// Domains does the same for the third field of a role definition.
	Domains map[string]string
	// Conditions says how the parameters of a definition such as
	// "g = _, _, (_, _)" limit its links: one of ConditionFunctions.
	Conditions map[string]string
	// Eval lets matchers run texts of rules as code, by eval().
	Eval bool
	// Origins are the places of the declarations, by "roles g2" and so on.
	Origins map[string]Origin
}

// MatchingFunctions are those of Casbin's functions that can compare names of
// roles and domains.
func MatchingFunctions() []string {
	return []string{"keyMatch", "keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "regexMatch", "globMatch"}
}

// ConditionFunctions are Casbin's functions for conditions on links: timeMatch
// reads two parameters as the moments after and before which a link holds, and
// none lets it hold whatever its parameters say.
func ConditionFunctions() []string { return []string{"timeMatch", "none"} }

// FunctionDeclaration is one line of Functions.
type FunctionDeclaration struct {
	Kind       string // roles, domains or conditions
	Definition string // g, g2 and so on
	Name       string
	Origin     Origin
}

// Declarations lists the functions by kind and role definition.
func (f *Functions) Declarations() []FunctionDeclaration {
	var all []FunctionDeclaration
	for kind, declared := range map[string]map[string]string{"roles": f.Roles, "domains": f.Domains, "conditions": f.Conditions} {
		for definition, name := range declared {
			all = append(all, FunctionDeclaration{kind, definition, name, f.Origins[kind+" "+definition]})
		}
	}
	slices.SortFunc(all, func(a, b FunctionDeclaration) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Definition, b.Definition))
	})
	return all
}

// Known are the names that may be declared for a kind of function.
func (d *FunctionDeclaration) Known() []string {
	if d.Kind == "conditions" {
		return ConditionFunctions()
	}
	return MatchingFunctions()
}

// roleDefinition is how Casbin numbers role definitions.
var roleDefinition = regexp.MustCompile(`^g([2-9]|[1-9][0-9]+)?$`)

// Check finds names that are none of Casbin's. Whether a model has the role
// definitions is for whoever compiles it to say.
func (f *Functions) Check() Problems {
	var problems Problems
	for _, d := range f.Declarations() {
		switch {
		case !roleDefinition.MatchString(d.Definition):
			problems = append(problems, Problem{
				Origin: d.Origin, Code: "function-misplaced", Hint: "write g, g2 and so on, as in the model",
				Message: fmt.Sprintf("%s: %q is no role definition", d.Kind, d.Definition),
			})
		case !slices.Contains(d.Known(), d.Name):
			problems = append(problems, Problem{
				Origin: d.Origin, Code: "function-unknown", Hint: nearOrOneOf(d.Name, d.Known()),
				Message: fmt.Sprintf("%s: there is no function %q for %s", d.Kind, d.Name, d.Definition),
			})
		}
	}
	return problems
}

func nearOrOneOf(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "write one of: " + strings.Join(known, ", ")
}

// functions refuses declarations where nothing would heed them.
func (c *checker) functions() {
	f := &c.p.Functions
	if c.p.Model != "" {
		c.problems = append(c.problems, f.Check()...)
		return
	}
	const why = "functions are for a Casbin model of your own; the built-in model has no use for them"
	for _, d := range f.Declarations() {
		c.add(d.Origin, "functions-builtin", "%s %s: %s", d.Kind, d.Definition, why)
	}
	if f.Eval {
		c.add(f.Origins["eval"], "functions-builtin", "eval: %s", why)
	}
}
