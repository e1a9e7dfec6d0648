package access_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// TestRecorded_comesBack: what is written down of an answer is all of it.
func TestRecorded_comesBack(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	for name, r := range map[string]access.Recorded{
		"nothing": {At: at},
		"everything": {
			ID: "id", At: at, Took: 7 * time.Microsecond, Tenant: "crm", Epoch: "e", Caller: "key:crm", RequestID: "r-1",
			Request: access.Request{
				Subject: access.Subject{Kind: access.KindUser, ID: "42"}, Actions: []access.Action{"show", "update"},
				Section: "S.A", Scope: "store:eu-1", Entity: access.Entity{Type: "order", ID: "17"},
				SubjectAttributes: map[string]any{"a": true}, ResourceAttributes: map[string]any{"b": 1.25},
				ActionAttributes: map[string]any{"c": nil}, Context: map[string]any{"d": []any{"<&>", map[string]any{"e": "f"}}},
			},
			Decision: access.Decision{
				Allowed: true, Reason: access.ReasonGrantedBy, Detail: "d", Action: "update", Revision: 9, ValidUntil: at.Add(time.Hour + 1),
				Rule: &access.Rule{Type: "p", Values: []string{"g:sales", "*", "S.A", "show", "allow", "-"}},
			},
			Masked: []string{"context.ip"},
		},
		"anonymous":       {At: at, Request: access.Request{Subject: access.Anonymous, Actions: []access.Action{"show"}, Section: "S"}},
		"an application":  {At: at, Request: access.Request{Subject: access.Subject{Kind: access.KindApplication, ID: "shop"}, Section: "S"}},
		"a model of ones": {At: at, Request: access.Request{Raw: []any{"alice", 5.0, map[string]any{"x": "y"}}, RawSet: "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var got access.Recorded
			if err := json.Unmarshal(line, &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, r) {
				t.Errorf("%s\ngot  %+v\nwant %+v", line, got, r)
			}
		})
	}
}

func TestRecorded_replayable(t *testing.T) {
	whole, masked := access.Recorded{}, access.Recorded{Masked: []string{"subject"}}
	if !whole.Replayable() || masked.Replayable() {
		t.Error("only what stands there as it was asked can be replayed")
	}
}

// TestRequest_export tells questions about taking data out (Req 18).
func TestRequest_export(t *testing.T) {
	for name, tc := range map[string]struct {
		r    access.Request
		want bool
	}{
		"by section":       {access.Request{Section: "System.Orders.Export"}, true},
		"as first segment": {access.Request{Section: "EXPORT"}, true},
		"no segment":       {access.Request{Section: "System.Orders.Reexport"}, false},
		"by action":        {access.Request{Section: "S", Actions: []access.Action{"show", "Export"}}, true},
		"not by a suffix":  {access.Request{Section: "S", Actions: []access.Action{"a.export"}}, false},
		"by raw value":     {access.Request{Raw: []any{"alice", 5.0, "Orders.export"}}, true},
		"raw without":      {access.Request{Raw: []any{"alice", "export-x"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.r.Export(); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
