package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

func (c *cli) casbinCommand() *cobra.Command {
	cmd := group("casbin", "Answer questions under a Casbin model of your own",
		`  echo '["alice", "data1", "read"]' | bailiwick casbin enforce --model model.conf --policy policy.csv
  bailiwick casbin compare --model model.conf --policy policy.csv < questions.jsonl`)
	cmd.AddCommand(c.casbinEnforceCommand(), c.casbinCompareCommand())
	return cmd
}

// casbinFiles are the files that people bring from Casbin.
type casbinFiles struct {
	model, policy, functions string
	eval                     bool
}

func (f *casbinFiles) flags(set *pflag.FlagSet) {
	set.StringVar(&f.model, "model", "", "the model, a model.conf (required)")
	set.StringVar(&f.policy, "policy", "", "the rules, a policy.csv; none when left out, as for models that decide by attributes alone")
	set.StringVar(&f.functions, "functions", "", "what an application would register in code, a YAML file such as\nroles: {g2: keyMatch2}\ndomains: {g: keyMatch}\nconditions: {g: timeMatch}\neval: true")
	set.BoolVar(&f.eval, "eval", false, "allow eval(), which runs texts of rules as code")
}

// read gives the options for an engine.
func (f *casbinFiles) read() (plan.Options, error) {
	if f.model == "" {
		return plan.Options{}, usage("say which files: --model FILE --policy FILE")
	}
	var o plan.Options
	model, err := os.ReadFile(f.model)
	if err != nil {
		return o, err
	}
	o.Model = string(model)
	if o.Functions, err = f.readFunctions(); err != nil || f.policy == "" {
		return o, err
	}
	policy, err := os.ReadFile(f.policy)
	if err != nil {
		return o, err
	}
	o.Rules, err = plan.ParsePolicy(f.policy, policy)
	return o, err
}

func (f *casbinFiles) readFunctions() (access.Functions, error) {
	if f.functions == "" {
		return access.Functions{Eval: f.eval}, nil
	}
	text, err := os.ReadFile(f.functions)
	if err != nil {
		return access.Functions{}, err
	}
	functions, err := plan.ParseFunctions(f.functions, text)
	functions.Eval = functions.Eval || f.eval
	return functions, err
}

// manyRules is from how many rules on people are told what takes so long.
const manyRules = 50_000

// compile makes the engine; mistakes in the model get the name of its file. What
// takes long is told to people.
func (f *casbinFiles) compile(o plan.Options, people io.Writer) (*plan.Engine, error) {
	start := time.Now()
	e, err := plan.Compile(o)
	if n := len(o.Rules); n >= manyRules {
		fmt.Fprintf(people, "%d rules are ready after %s\n", n, rounded(time.Since(start)))
	}
	problems := problemsIn(err)
	for i := range problems {
		if problems[i].Origin.File == plan.ModelFile {
			problems[i].Origin.File = f.model
		}
	}
	return e, err
}

const casbinQuestions = `A question is one line of JSON on standard input: an array with a value for each
field of the request definition, with objects for things that have attributes,
or {"context_set": "2", "request": [...]} for the definitions r2, p2, e2 and m2.`

func (c *cli) casbinEnforceCommand() *cobra.Command {
	var files casbinFiles
	cmd := &cobra.Command{
		Use:   "enforce --model FILE --policy FILE",
		Short: "Answer questions from standard input as Casbin would",
		Long: `Answer questions under a Casbin model, with the same answers as stock Casbin
v2.135.0 and without looking at every rule.

` + casbinQuestions + `

An answer is one line of JSON: {"allow":true,"rule":"p, alice, data1, read","line":1}
with the rule that decides and its line in the policy, if one does, or
{"allow":false,"error":"..."} where Casbin would give an error too. An error never
ends the run.`,
		Example: `  echo '["alice", "data1", "read"]' | bailiwick casbin enforce --model model.conf --policy policy.csv
  bailiwick casbin enforce --model model.conf --policy policy.csv --functions functions.yaml < questions.jsonl
  echo '["alice", {"Owner": "alice"}, "read"]' | bailiwick casbin enforce --model abac.conf`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := files.read()
			if err != nil {
				return err
			}
			engine, err := files.compile(options, c.err)
			if err != nil {
				return err
			}
			c.inviteQuestions()
			out := bufio.NewWriter(c.out)
			err = eachQuestion(cmd.Context(), c.in, out.Flush, func(_ int, text []byte) error {
				return writeJSON(out, casbinDecision(engine, options.Rules, text))
			})
			return errors.Join(err, out.Flush())
		},
	}
	files.flags(cmd.Flags())
	return cmd
}

// casbinAnswer is a decision as a line of JSON.
type casbinAnswer struct {
	Allow bool   `json:"allow"`
	Rule  string `json:"rule,omitempty"`
	Line  int    `json:"line,omitempty"`
	Error string `json:"error,omitempty"`
}

func (a casbinAnswer) String() string {
	switch {
	case a.Error != "":
		return "error: " + a.Error
	case a.Rule == "":
		return fmt.Sprintf("%sby no rule", word(a.Allow)+" ")
	}
	return fmt.Sprintf("%s by %s (line %d)", word(a.Allow), a.Rule, a.Line)
}

// casbinEnforcer is our engine or stock Casbin.
type casbinEnforcer interface {
	Enforce(set string, values []any) (plan.Answer, error)
}

func casbinDecision(e casbinEnforcer, rules []access.Rule, text []byte) casbinAnswer {
	r, err := plan.ParseRequest(text)
	if err != nil {
		return casbinAnswer{Error: err.Error()}
	}
	return casbinDecide(e, rules, r)
}

func casbinDecide(e casbinEnforcer, rules []access.Rule, r plan.Request) casbinAnswer {
	a, err := e.Enforce(r.Set, r.Values)
	var at *plan.EvaluationError
	if errors.As(err, &at) && at.Rule >= 0 {
		return casbinAnswer{Error: fmt.Sprintf("evaluate the matcher at %s: %s", rules[at.Rule].Origin, at.Err)}
	}
	if err != nil {
		return casbinAnswer{Error: err.Error()}
	}
	answer := casbinAnswer{Allow: a.Allowed}
	if a.Rule >= 0 {
		answer.Rule, answer.Line = rules[a.Rule].String(), rules[a.Rule].Origin.Line
	}
	return answer
}

// inviteQuestions tells somebody at a terminal why nothing happens.
func (c *cli) inviteQuestions() {
	if terminal(c.in) {
		fmt.Fprintln(c.err, `type questions such as ["alice", "data1", "read"], one a line`)
	}
}

// longestQuestion is how many bytes a line may have.
const longestQuestion = 1 << 20

// eachQuestion hands on line after line until there are no more. It calls idle
// before it waits for more input, so that somebody at a terminal sees answers.
func eachQuestion(ctx context.Context, in io.Reader, idle func() error, question func(line int, text []byte) error) error {
	buffered := bufio.NewReaderSize(in, 1<<16)
	for line := 1; ctx.Err() == nil; line++ {
		if buffered.Buffered() == 0 {
			if err := idle(); err != nil {
				return err
			}
		}
		text, err := readQuestion(buffered)
		if len(bytes.TrimSpace(text)) > 0 {
			if err := question(line, text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read question %d: %w", line, err)
		}
	}
	return ctx.Err()
}

func readQuestion(in *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		if text = append(text, part...); len(text) > longestQuestion {
			return nil, fmt.Errorf("a line may have %d bytes", longestQuestion)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, err
		}
	}
}
