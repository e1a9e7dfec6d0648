package access

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Recorded is an answer that an application acts upon, as the log of decisions
// keeps it.
type Recorded struct {
	ID     string        // in the order of the moments at which answers were given, within a millisecond of each process
	At     time.Time     // when the question was put, UTC
	Took   time.Duration // until it was answered
	Tenant string
	Epoch  string // of the store that the answer is from, see Head
	Caller string // who asked, see Caller.Name

	RequestID string // of the request in which it was asked; questions of a batch share it
	Request   Request
	Decision  Decision // its rule, where one decided, has the line alone

	// Masked names what does not stand in Request as it was asked, for instance
	// "context.ip"; nil where all of it does. What is masked cannot be replayed
	// exactly.
	Masked []string
}

// Replayable tells whether the question is kept as it was asked.
func (r *Recorded) Replayable() bool { return len(r.Masked) == 0 }

// RecordedSearch says which answers of the log are wanted. What is empty does
// not narrow it.
type RecordedSearch struct {
	Subject   string // as Subject.String gives it, or its mask
	Section   Section
	Allowed   *bool
	Reason    Reason
	Caller    string
	RequestID string
	From      time.Time // at or after
	Until     time.Time // before

	After   string // the id of the last answer of the page before
	Forward bool   // oldest first, for whoever follows the log; else newest first
	Most    int    // answers wanted, at least 1
}

// recordedLine is how an answer is written down, in files, on standard output
// and in the store alike.
type recordedLine struct {
	ID        string       `json:"id"`
	At        time.Time    `json:"at"`
	Took      int64        `json:"took_us"`
	Tenant    string       `json:"tenant"`
	Epoch     string       `json:"epoch,omitempty"`
	Revision  Revision     `json:"revision"`
	Caller    string       `json:"caller"`
	RequestID string       `json:"request_id,omitempty"`
	Question  questionLine `json:"question"`
	Allowed   bool         `json:"decision"`
	Reason    Reason       `json:"reason"`
	Detail    string       `json:"detail,omitempty"`
	Action    Action       `json:"action,omitempty"`
	Rule      *ruleLine    `json:"rule,omitempty"`
	Until     time.Time    `json:"valid_until,omitzero"`
	Masked    []string     `json:"masked,omitempty"`
}

type questionLine struct {
	Subject            string         `json:"subject,omitempty"`
	Actions            []Action       `json:"actions,omitempty"`
	Section            Section        `json:"section,omitempty"`
	Scope              Scope          `json:"scope,omitempty"`
	Type               string         `json:"resource_type,omitempty"`
	Entity             string         `json:"resource_id,omitempty"`
	SubjectAttributes  map[string]any `json:"subject_attributes,omitempty"`
	ResourceAttributes map[string]any `json:"resource_attributes,omitempty"`
	ActionAttributes   map[string]any `json:"action_attributes,omitempty"`
	Context            map[string]any `json:"context,omitempty"`
	Raw                []any          `json:"raw,omitempty"`
	RawSet             string         `json:"context_set,omitempty"`
}

type ruleLine struct {
	Type   string   `json:"type"`
	Values []string `json:"values"`
}

// MarshalJSON writes the answer on one line.
func (r Recorded) MarshalJSON() ([]byte, error) {
	q, d := &r.Request, &r.Decision
	w := recordedLine{
		ID: r.ID, At: r.At.UTC(), Took: r.Took.Microseconds(), Tenant: r.Tenant, Epoch: r.Epoch, Revision: d.Revision,
		Caller: r.Caller, RequestID: r.RequestID, Question: questionLine{
			Actions: q.Actions, Section: q.Section, Scope: q.Scope, Type: q.Entity.Type, Entity: q.Entity.ID,
			SubjectAttributes: q.SubjectAttributes, ResourceAttributes: q.ResourceAttributes, ActionAttributes: q.ActionAttributes,
			Context: q.Context, Raw: q.Raw, RawSet: q.RawSet,
		},
		Allowed: d.Allowed, Reason: d.Reason, Detail: d.Detail, Action: d.Action, Until: d.ValidUntil, Masked: r.Masked,
	}
	if q.Subject != (Subject{}) {
		w.Question.Subject = q.Subject.String()
	}
	if d.Rule != nil {
		w.Rule = &ruleLine{d.Rule.Type, d.Rule.Values}
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(w)
	return bytes.TrimSuffix(line.Bytes(), []byte("\n")), err
}

// UnmarshalJSON reads what MarshalJSON has written.
func (r *Recorded) UnmarshalJSON(line []byte) error {
	var w recordedLine
	if err := json.Unmarshal(line, &w); err != nil {
		return fmt.Errorf("read a recorded decision: %w", err)
	}
	q := w.Question
	*r = Recorded{
		ID: w.ID, At: w.At, Took: time.Duration(w.Took) * time.Microsecond, Tenant: w.Tenant, Epoch: w.Epoch,
		Caller: w.Caller, RequestID: w.RequestID, Masked: w.Masked,
		Request: Request{
			Actions: q.Actions, Section: q.Section, Scope: q.Scope, Entity: Entity{q.Type, q.Entity},
			SubjectAttributes: q.SubjectAttributes, ResourceAttributes: q.ResourceAttributes, ActionAttributes: q.ActionAttributes,
			Context: q.Context, Raw: q.Raw, RawSet: q.RawSet,
		},
		Decision: Decision{
			Allowed: w.Allowed, Reason: w.Reason, Detail: w.Detail, Action: w.Action, Revision: w.Revision, ValidUntil: w.Until,
		},
	}
	if w.Rule != nil {
		r.Decision.Rule = &Rule{Type: w.Rule.Type, Values: w.Rule.Values}
	}
	r.Request.Subject = recordedSubject(q.Subject)
	return nil
}

// recordedSubject reads what Subject.String has written, of whatever id: what
// was asked need not be valid.
func recordedSubject(s string) Subject {
	switch {
	case s == "":
		return Subject{}
	case s == AnonymousID:
		return Anonymous
	case len(s) >= 4 && s[:4] == "app:":
		return Subject{Kind: KindApplication, ID: s[4:]}
	case len(s) >= 5 && s[:5] == "user:":
		return Subject{Kind: KindUser, ID: s[5:]}
	}
	return Subject{Kind: KindUser, ID: s}
}

// Export tells whether a question is about taking data out: the last part of its
// section or one of its actions is "export", in any case of letters. Under a
// tenant's own model every value of the question counts.
func (r *Request) Export() bool {
	if endsInExport(string(r.Section)) {
		return true
	}
	for _, a := range r.Actions {
		if strings.EqualFold(string(a), exporting) {
			return true
		}
	}
	for _, v := range r.Raw {
		if text, ok := v.(string); ok && endsInExport(text) {
			return true
		}
	}
	return false
}

const exporting = "export"

func endsInExport(name string) bool {
	at := len(name) - len(exporting)
	return at >= 0 && strings.EqualFold(name[at:], exporting) && (at == 0 || name[at-1] == '.')
}
