package bundle

import (
	"github.com/bailiwick/bailiwick/internal/access"
)

// model reads the bundle's own Casbin model. fs.ReadDir gives bundle.yaml
// before model.conf, so the combining that it asks for is known by now.
func (r *reader) model(name string) {
	src, ok := r.load(name)
	if !ok {
		r.policy.Model = unreadModel
		return
	}
	model, combining, err := string(src), access.Combining(""), error(nil)
	if r.modelOf != nil {
		model, combining, err = r.modelOf(string(src))
	}
	if err != nil {
		r.problems = append(r.problems, problemsOf(err, name, "model-invalid")...)
		r.policy.Model = unreadModel
		return
	}
	r.policy.Model = model
	r.combine(access.Origin{File: name}, combining)
}

// unreadModel stands for a model that could not be read, so that lines which are
// meant for it are not held to the rules of the built-in one.
const unreadModel = "#"

// combine refuses two different answers to one question.
func (r *reader) combine(at access.Origin, model access.Combining) {
	said := r.policy.Combining
	switch {
	case r.policy.Model != "" && said != "":
		r.add(r.policy.Origin, "combining-conflict", "combining: %s has no effect, because %s says how rules combine", said, modelName).
			Hint = "leave combining out"
	case r.policy.Model == "" && said != "" && said != model:
		r.add(at, "combining-conflict", "the model says %s, %s says %s", model, bundleName, said)
	case r.policy.Model == "":
		r.policy.Combining = model
	}
}
