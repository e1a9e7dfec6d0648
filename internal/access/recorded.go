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

// questionLine is a question as it is asked over HTTP.
type questionLine struct {
	Subject           string         `json:"subject,omitempty"`
	Actions           []Action       `json:"action,omitempty"`
	Section           Section        `json:"section,omitempty"`
	Scope             Scope          `json:"scope,omitempty"`
	Resource          resourceLine   `json:"resource,omitzero"`
	SubjectAttributes map[string]any `json:"subject_attributes,omitempty"`
	ActionAttributes  map[string]any `json:"action_attributes,omitempty"`
	Context           map[string]any `json:"context,omitempty"`
	Raw               []any          `json:"request,omitempty"`
	RawSet            string         `json:"context_set,omitempty"`
}

type resourceLine struct {
	Type       string         `json:"type,omitempty"`
	ID         string         `json:"id,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// IsZero leaves out a resource that nothing is said of.
func (r resourceLine) IsZero() bool { return r.Type == "" && r.ID == "" && len(r.Attributes) == 0 }

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
			Actions: q.Actions, Section: q.Section, Scope: q.Scope, Resource: resourceLine{q.Entity.Type, q.Entity.ID, q.ResourceAttributes},
			SubjectAttributes: q.SubjectAttributes, ActionAttributes: q.ActionAttributes, Context: q.Context, Raw: q.Raw, RawSet: q.RawSet,
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
			Actions: q.Actions, Section: q.Section, Scope: q.Scope, Entity: Entity{q.Resource.Type, q.Resource.ID},
			SubjectAttributes: q.SubjectAttributes, ResourceAttributes: q.Resource.Attributes, ActionAttributes: q.ActionAttributes,
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

// RecordedRandom is how many random bytes are in the id of a recorded answer.
const RecordedRandom = 10

// RecordedID gives the id of an answer: 10 characters of its millisecond and 16
// random ones, as ULIDs have them, in small letters. Ids sort by the moment;
// with zeros it is the least one of its millisecond.
func RecordedID(at time.Time, random [RecordedRandom]byte) string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	var id [26]byte
	for i, n := 9, at.UnixMilli(); i >= 0; i, n = i-1, n>>5 {
		id[i] = digits[n&31]
	}
	for i := range 2 { // 40 bits are 8 characters
		var n uint64
		for _, b := range random[5*i : 5*i+5] {
			n = n<<8 | uint64(b)
		}
		for j := 7; j >= 0; j, n = j-1, n>>5 {
			id[10+8*i+j] = digits[n&31]
		}
	}
	return string(id[:])
}
