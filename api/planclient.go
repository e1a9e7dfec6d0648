package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// PlanPolicy tells what putting policy files into force would do, all of it, and
// how far the work has come meanwhile, where told is given.
func (c *Client) PlanPolicy(ctx context.Context, tenant string, p PolicyPlanAsked, told func(Progress)) (PolicyPlan, error) {
	var plan PolicyPlan
	f, err := c.foretold(ctx, http.MethodPost, tenantPath(tenant, "policy:plan"), p, &plan, told)
	plan.Consequences.All, plan.Decisions.All = append(plan.Consequences.All, f.consequences...), f.turned
	return plan, err
}

// foretelling is what comes in lines behind an answer.
type foretelling struct {
	consequences []Consequence
	turned       []TurnedDecision
}

// foretoldWhole puts the consequences that came behind an answer into it.
func foretoldWhole[T any](ctx context.Context, c *Client, method, path string, in any, of func(*T) *Consequences) (T, error) {
	var answer T
	f, err := c.foretold(ctx, method, path, in, &answer, nil)
	if to := of(&answer); err == nil && to != nil {
		to.All = f.consequences
	}
	return answer, err
}

// foretold asks for an answer in lines.
func (c *Client) foretold(ctx context.Context, method, path string, in, out any, told func(Progress)) (foretelling, error) {
	var none foretelling
	request, err := c.request(ctx, method, path, in)
	if err != nil {
		return none, err
	}
	request.Header.Set("Accept", "application/x-ndjson")
	response, err := c.client(Policy{}).Do(request)
	if err != nil {
		return none, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/x-ndjson" {
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return none, fmt.Errorf("read the answer of %s: %w", path, err)
		}
		return none, read(response, body, out)
	}
	return readLines(response.Body, out, told)
}

// maxLines bounds what a client reads of an answer in lines, in bytes.
const maxLines = 16 * maxAnswer

// readLines reads up to the end: an answer that ends before is none.
func readLines(from io.Reader, out any, told func(Progress)) (foretelling, error) {
	var f foretelling
	lines := bufio.NewReader(io.LimitReader(from, maxLines))
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return f, errors.New("the answer was cut off")
		}
		var l Line
		if err := json.Unmarshal(line, &l); err != nil {
			return f, fmt.Errorf("read a line of the answer: %w", err)
		}
		switch {
		case l.End != nil && (l.End.Consequences != len(f.consequences) || l.End.Turned != len(f.turned)):
			return f, errors.New("lines of the answer were lost")
		case l.End != nil:
			return f, nil
		case l.Problem != nil:
			var p Problem
			if err := json.Unmarshal(l.Problem, &p); err != nil {
				return f, err
			}
			return f, &p
		case l.Answer != nil:
			if err := json.Unmarshal(l.Answer, out); err != nil {
				return f, fmt.Errorf("read the answer: %w", err)
			}
		case l.Consequence != nil:
			f.consequences = append(f.consequences, *l.Consequence)
		case l.Turned != nil:
			f.turned = append(f.turned, *l.Turned)
		case l.Progress != nil && told != nil:
			told(*l.Progress)
		}
	}
}
