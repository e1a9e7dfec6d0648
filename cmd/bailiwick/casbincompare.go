package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

func (c *cli) casbinCompareCommand() *cobra.Command {
	var files casbinFiles
	cmd := &cobra.Command{
		Use:   "compare --model FILE --policy FILE",
		Short: "Put questions to stock Casbin too and say where the answers differ",
		Long: `Put every question from standard input to us and to stock Casbin v2.135.0, and
say how long both take. At the first answer that differs, print it and end with
exit code 1. What we refuse to load is not put to stock Casbin, which might never
come back from it. While it takes long, standard error says how far it is.

` + casbinQuestions,
		Example: `  bailiwick casbin compare --model model.conf --policy policy.csv < questions.jsonl
  bailiwick casbin compare --model model.conf --policy policy.csv -o json < questions.jsonl`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := files.read()
			if err != nil {
				return err
			}
			comparison, err := files.race(options, c.err)
			if err != nil {
				return err
			}
			c.inviteQuestions()
			if err := comparison.run(cmd.Context(), c.in); err != nil {
				return err
			}
			if err := c.answer(comparison, comparison.write); err != nil {
				return err
			}
			if comparison.Difference != nil {
				return reported(exitFailed)
			}
			return nil
		},
	}
	files.flags(cmd.Flags())
	return cmd
}

// casbinComparison is what came of putting questions to both.
type casbinComparison struct {
	Rules      int               `json:"rules"`
	Plans      []string          `json:"plans"`
	Questions  int               `json:"questions"`
	Errors     int               `json:"errors"` // questions at which both erred
	Ours       casbinTimes       `json:"ours"`
	Stock      casbinTimes       `json:"stock"`
	Difference *casbinDifference `json:"difference,omitempty"`

	rules       []access.Rule
	ours, stock casbinEnforcer
	people      io.Writer // is told how far it is
	told        time.Time
}

// casbinTimes are in nanoseconds in JSON.
type casbinTimes struct {
	Load   time.Duration `json:"load_ns"`
	Answer time.Duration `json:"answer_ns"` // all questions together
}

type casbinDifference struct {
	Line     int          `json:"line"`
	Question string       `json:"question"`
	Ours     casbinAnswer `json:"ours"`
	Stock    casbinAnswer `json:"stock"`
}

// race loads both. What we refuse is not put to stock Casbin, which could hang.
func (f *casbinFiles) race(o plan.Options, people io.Writer) (*casbinComparison, error) {
	x := &casbinComparison{Rules: len(o.Rules), rules: o.Rules, people: people}
	start := time.Now()
	ours, err := f.compile(o, people)
	if err != nil {
		return nil, err
	}
	x.Ours.Load = time.Since(start)
	for _, p := range ours.Plans() {
		set := ""
		if p.Set != "" {
			set = "set " + p.Set + ", "
		}
		x.Plans = append(x.Plans, set+p.Name+": "+p.Why)
	}
	if len(o.Rules) >= manyRules {
		fmt.Fprintln(people, "stock Casbin is loading them")
	}
	start = time.Now()
	stock, err := plan.NewStock(o)
	if err != nil {
		return nil, err
	}
	x.Stock.Load = time.Since(start)
	x.ours, x.stock, x.told = ours, stock, time.Now()
	return x, nil
}

func (x *casbinComparison) run(ctx context.Context, in io.Reader) error {
	nothing := func() error { return nil }
	return eachQuestion(ctx, in, nothing, func(line int, text []byte) error {
		if x.Difference != nil {
			return nil
		}
		r, err := plan.ParseRequest(text)
		if err != nil {
			return fmt.Errorf("question %d: %w", line, err)
		}
		x.question(line, string(text), r)
		return nil
	})
}

func (x *casbinComparison) question(line int, text string, r plan.Request) {
	start := time.Now()
	ours := casbinDecide(x.ours, x.rules, r)
	between := time.Now()
	stock := casbinDecide(x.stock, x.rules, r)
	x.Ours.Answer += between.Sub(start)
	x.Stock.Answer += time.Since(between)
	x.Questions++
	x.tell(time.Now())
	if ours.Error != "" && stock.Error != "" {
		x.Errors++
		return
	}
	if ours != stock {
		x.Difference = &casbinDifference{line, oneLine(text), ours, stock}
	}
}

// tell says how far it is, every few seconds.
func (x *casbinComparison) tell(now time.Time) {
	const seconds = 5
	if now.Sub(x.told) < seconds*time.Second {
		return
	}
	x.told = now
	fmt.Fprintf(x.people, "%s so far: ours %s, stock %s\n", plural(x.Questions, "question", "questions"), rounded(x.Ours.Answer), rounded(x.Stock.Answer))
}

func (x *casbinComparison) write(w io.Writer) {
	for _, p := range x.Plans {
		fmt.Fprintln(w, p)
	}
	if d := x.Difference; d != nil {
		fmt.Fprintf(w, "question %d differs: %s\n  ours   %s\n  stock  %s\n", d.Line, d.Question, d.Ours, d.Stock)
	} else {
		fmt.Fprintf(w, "%s under %s: no difference (%s)\n", plural(x.Questions, "question", "questions"), plural(x.Rules, "rule", "rules"), plural(x.Errors, "error on both sides", "errors on both sides"))
	}
	each := time.Duration(max(1, x.Questions))
	fmt.Fprintf(w, "  ours   loaded in %s, a question in %s\n", rounded(x.Ours.Load), rounded(x.Ours.Answer/each))
	fmt.Fprintf(w, "  stock  loaded in %s, a question in %s%s\n", rounded(x.Stock.Load), rounded(x.Stock.Answer/each), x.times())
}

// times says by how much stock Casbin takes longer.
func (x *casbinComparison) times() string {
	if x.Ours.Answer <= 0 || x.Stock.Answer < 2*x.Ours.Answer {
		return ""
	}
	return fmt.Sprintf(", %d times as long", x.Stock.Answer/x.Ours.Answer)
}

// rounded leaves three digits of a time.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
