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
	SearchSubjectEndpoint     string `json:"search_subject_endpoint"`
	SearchActionEndpoint      string `json:"search_action_endpoint"`
}

// SubjectQuery asks by AuthZEN who may do something.
type SubjectQuery struct {
	// Only its type is looked at: which subjects are wanted.
	Subject  *Entity `json:"subject"`
	Action   *Verb   `json:"action"`
	Resource *Entity `json:"resource"`
	// What conditions see of the circumstances; its member scope is the scope of the question.
	Context map[string]any `json:"context,omitempty"`
	Page    *QueryPage     `json:"page,omitempty"`
}

// ActionQuery asks by AuthZEN what a subject may do with a resource.
type ActionQuery struct {
	Subject  *Entity `json:"subject"`
	Resource *Entity `json:"resource"`
	// What conditions see of the circumstances; its member scope is the scope of the question.
	Context map[string]any `json:"context,omitempty"`
}

// QueryPage says which part of the results is wanted.
type QueryPage struct {
	// The next_token of the page before; all else must be as it was, except the limit.
	Token string `json:"token,omitempty"`
	// How many at once, 1 to 1000; 50 when left out.
	Limit int `json:"limit,omitzero"`
}

// SubjectResults is one page of the answer to a SubjectQuery.
type SubjectResults struct {
	// In the order of their ids.
	Results []EntityResult `json:"results"`
	Page    NextPage       `json:"page"`
}

// ActionResults answers an ActionQuery, completely.
type ActionResults struct {
	// The standard actions in the order of their values, then declared ones by name.
	Results []VerbResult `json:"results"`
	Page    NextPage     `json:"page"`
}

// EntityResult is a subject that was found.
type EntityResult struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// VerbResult is an action that was found.
type VerbResult struct {
	Name string `json:"name"`
}

// NextPage tells how to go on.
type NextPage struct {
	// Empty at the end.
	NextToken string `json:"next_token"`
}
