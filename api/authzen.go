package api

// The types of the OpenID AuthZEN Authorization API 1.0. How they become a
// question of ours is told in docs/authzen.md.

// Evaluation is an AuthZEN question.
type Evaluation struct {
	Subject  *Entity `json:"subject,omitempty"`
	Action   *Verb   `json:"action,omitempty"`
	Resource *Entity `json:"resource,omitempty"`
	// What conditions see of the circumstances; its member scope is the scope of the question.
	Context map[string]any `json:"context,omitempty"`
}

// Entity is the subject or the resource of an AuthZEN question.
type Entity struct {
	// Of a subject: user, app, application or anonymous. Of a resource: the section.
	Type string `json:"type"`
	ID   string `json:"id"`
	// What conditions see. The property scope of a resource is the scope of the question.
	Properties map[string]any `json:"properties,omitempty"`
}

// Verb is the action of an AuthZEN question.
type Verb struct {
	// For instance show.
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties,omitempty"`
}

// Evaluations is several AuthZEN questions. Members outside the list are the
// defaults of its items, each as a whole. Without a list it is one question.
type Evaluations struct {
	Evaluation
	// At most 100 questions.
	Evaluations []Evaluation       `json:"evaluations,omitempty"`
	Options     *EvaluationOptions `json:"options,omitempty"`
}

// EvaluationOptions says how a list of questions is answered.
type EvaluationOptions struct {
	// One of execute_all (the default), deny_on_first_deny, permit_on_first_permit.
	Semantic string `json:"evaluations_semantic,omitempty"`
}

// EvaluationAnswer is the answer to an AuthZEN question.
type EvaluationAnswer struct {
	Allowed bool           `json:"decision"`
	Context *AnswerContext `json:"context,omitempty"`
}

// AnswerContext tells more about an AuthZEN answer.
type AnswerContext struct {
	// A stable code, for instance granted_by or no_grant.
	Reason string `json:"reason"`
	// What the reason is about.
	Detail string `json:"detail,omitempty"`
	// The revision that decided.
	Revision uint64 `json:"revision,omitzero"`
}

// EvaluationAnswers answers a list of AuthZEN questions, in its order.
type EvaluationAnswers struct {
	Evaluations []EvaluationAnswer `json:"evaluations"`
}

// AuthZENConfiguration tells AuthZEN clients where to ask.
type AuthZENConfiguration struct {
	PolicyDecisionPoint       string `json:"policy_decision_point"`
	AccessEvaluationEndpoint  string `json:"access_evaluation_endpoint"`
	AccessEvaluationsEndpoint string `json:"access_evaluations_endpoint"`
}
