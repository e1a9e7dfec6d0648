package access

// MaxPrerequisiteDepth bounds how far prerequisites of prerequisites are followed.
const MaxPrerequisiteDepth = 8

// Request is a question: may this subject do these actions in this section,
// here? A tenant whose model is not ours is asked with Raw instead.
type Request struct {
	Subject Subject
	Actions []Action // all of them must be allowed; at least one
	Section Section
	Scope   Scope  // Everywhere when empty
	Entity  Entity // the resource the question is about, for conditions; may be zero

	// What conditions see besides stored attributes. For one and the same name
	// the stored value beats the one given here.
	SubjectAttributes  map[string]any
	ResourceAttributes map[string]any
	ActionAttributes   map[string]any
	Context            map[string]any

	// Raw is the request in the order of the model's own request definition,
	// for models other than ours. The other fields are not looked at then.
	Raw []any
	// RawSet names the set of definitions that answers Raw: "" for r, p, e and m,
	// "2" for r2, p2, e2 and m2. Casbin calls it the context of a question.
	RawSet string
}

// Entity names one record of the business system, for instance order 17.
type Entity struct {
	Type, ID string
}

// Check refuses a request that is blank or malformed. Unknown names are not its
// matter: those are answered with a denial.
func (r *Request) Check() error {
	if r.Raw != nil {
		return nil
	}
	if r.RawSet != "" {
		return Invalid("context_set", "is for the request of a Casbin model alone")
	}
	if r.Subject.Kind != KindUser && r.Subject.Kind != KindApplication {
		return Invalid("subject", "is required")
	}
	if err := ValidID("subject", r.Subject.ID); err != nil {
		return err
	}
	if len(r.Actions) == 0 {
		return Invalid("action", "is required")
	}
	for _, a := range r.Actions {
		if err := ValidAction("action", string(a)); err != nil {
			return err
		}
	}
	if err := ValidSection("section", r.Section); err != nil {
		return err
	}
	if r.Scope == "" {
		return nil
	}
	return ValidScope("scope", r.Scope)
}

// ActionsOf turns a sum of rights into the actions it stands for. Inherit
// cannot be asked about, and nothing is not a question.
func ActionsOf(field string, n int64) ([]Action, error) {
	r, err := RightsOf(field, n)
	if err != nil {
		return nil, err
	}
	if r == 0 || r&Inherit != 0 {
		return nil, Invalid(field, "%d cannot be asked about; use a sum of 2, 4, 8, 16 and 32", n)
	}
	var actions []Action
	for _, name := range r.Names() {
		actions = append(actions, Action(name))
	}
	return actions, nil
}
