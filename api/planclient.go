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

// PlanPolicy tells what putting policy files into force would do, and how far
// the work has come meanwhile, where told is given.
func (c *Client) PlanPolicy(ctx context.Context, tenant string, p PolicyPlanAsked, told func(Progress)) (PolicyPlan, error) {
	path := tenantPath(tenant, "policy:plan")
	request, err := c.request(ctx, http.MethodPost, path, p)
	if err != nil {
		return PolicyPlan{}, err
	}
	request.Header.Set("Accept", "application/x-ndjson")
	response, err := c.client(Policy{}).Do(request)
	if err != nil {
		return PolicyPlan{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return PolicyPlan{}, fmt.Errorf("read the answer of %s: %w", path, err)
		}
		return PolicyPlan{}, read(response, body, nil)
	}
	return readPlan(response.Body, told)
}

// readPlan reads lines up to the plan.
func readPlan(from io.Reader, told func(Progress)) (PolicyPlan, error) {
	lines := bufio.NewReader(io.LimitReader(from, maxAnswer))
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return PolicyPlan{}, errors.New("the answer ended before the plan")
		}
		var l PlanProgress
		if err := json.Unmarshal(line, &l); err != nil {
			return PolicyPlan{}, fmt.Errorf("read a line of the plan: %w", err)
		}
		switch {
		case l.Plan != nil:
			return *l.Plan, nil
		case l.Problem != nil:
			var p Problem
			if err := json.Unmarshal(l.Problem, &p); err != nil {
				return PolicyPlan{}, err
			}
			return PolicyPlan{}, &p
		case l.Progress != nil && told != nil:
			told(*l.Progress)
		}
	}
}
