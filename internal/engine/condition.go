package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	_ "time/tzdata" // conditions name time zones; the machine must not change their answers

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Limits of a condition.
const (
	// MaxCondition is the longest text of a condition in bytes.
	MaxCondition = 2048
	// maxConditionCost bounds CEL's static estimate of the most that one
	// evaluation can cost, with every value of a request taken to be
	// maxConditionValue long. A comparison costs about 1.
	maxConditionCost  = 100_000
	maxConditionValue = 4096
	maxConditionDepth = 100
	maxRegexpProgram  = 1000
)

// Condition is a compiled CEL text. It may be used by many goroutines.
type Condition struct {
	text     string
	program  cel.Program
	readsNow bool

	readsSubject  bool // attributes of the subject, which are stored
	readsQuestion bool // what differs between a question and its prerequisites
}

// CheckCondition tells what is wrong with the text of a condition. The error is
// of kind access.ErrInvalid and holds CEL's own line and column.
func CheckCondition(text string) error {
	_, err := CompileCondition(text)
	return err
}

// CompileCondition compiles and type-checks a condition over the variables
// subject, resource, action, context (maps) and now (a timestamp). Macros are
// off, so the work is bounded by the text. One function is added to CEL's own:
// inRange(ip, cidr) tells whether an IP address lies in a network.
func CompileCondition(text string) (*Condition, error) {
	if len(text) > MaxCondition {
		return nil, access.Invalid("condition", "is %d bytes long; %d is the limit", len(text), MaxCondition)
	}
	env, err := conditionEnv()
	if err != nil {
		return nil, fmt.Errorf("make the CEL environment: %w", err)
	}
	tree, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, refused(text, "%s", wording(issues))
	}
	if !tree.OutputType().IsExactType(cel.BoolType) {
		return nil, refused(text, "gives %s where true or false is wanted; compare it with something", tree.OutputType())
	}
	worst, err := env.EstimateCost(tree, sizes{})
	if err != nil {
		return nil, refused(text, "%s", err)
	}
	if worst.Max > maxConditionCost {
		return nil, refused(text, "could cost %d steps; %d is the limit", worst.Max, maxConditionCost)
	}
	program, err := env.Program(tree, cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(interpreter.MatchesRegexOptimization))
	if err != nil {
		return nil, refused(text, "%s", err)
	}
	return &Condition{
		text: text, program: program, readsNow: readsNow(tree),
		readsSubject:  reads(tree, "subject", func(field string) bool { return field != "id" && field != "type" }),
		readsQuestion: reads(tree, "resource", isField("section")) || reads(tree, "action", isField("name")),
	}, nil
}

// refused says what is wrong, and in which text: what came without a file has no
// other place.
func refused(text, format string, args ...any) error {
	return access.Invalid("condition", "%s in %q", fmt.Sprintf(format, args...), access.Cut(text, maxQuoted))
}

// maxQuoted is how many bytes of a condition a mistake quotes.
const maxQuoted = 80

// ReadsNow tells whether the answer depends on the clock.
func (c *Condition) ReadsNow() bool { return c.readsNow }

// Holds evaluates the condition. An error is neither yes nor no: whoever asks
// must let an allow fail by it and a deny stand.
func (c *Condition) Holds(variables map[string]any) (bool, error) {
	value, _, err := c.program.Eval(variables)
	if err != nil {
		return false, err
	}
	held, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("gave %s", value.Type().TypeName())
	}
	return bool(held), nil
}

var conditionEnv = sync.OnceValues(func() (*cel.Env, error) {
	attributes := cel.MapType(cel.StringType, cel.DynType)
	return cel.NewEnv(
		cel.ClearMacros(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(maxConditionDepth),
		cel.RegexProgramSizeLimit(maxRegexpProgram),
		cel.Variable("subject", attributes),
		cel.Variable("resource", attributes),
		cel.Variable("action", attributes),
		cel.Variable("context", attributes),
		cel.Variable("now", cel.TimestampType),
		cel.Function("inRange", cel.Overload("in_range_string_string",
			[]*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, cel.BinaryBinding(inRange))),
	)
})

// inRange tells whether an address lies in a network or is the one address
// given. Anything unreadable is an error, which fails closed.
func inRange(ip, network ref.Val) ref.Val {
	addr, err := netip.ParseAddr(fmt.Sprint(ip.Value()))
	if err != nil {
		return types.NewErr("inRange: %s", err)
	}
	text := fmt.Sprint(network.Value())
	if !strings.Contains(text, "/") {
		one, err := netip.ParseAddr(text)
		if err != nil {
			return types.NewErr("inRange: %s", err)
		}
		return types.Bool(one.Unmap() == addr.Unmap())
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return types.NewErr("inRange: %s", err)
	}
	return types.Bool(prefix.Contains(addr.Unmap()))
}

// wording gives the mistakes that CEL found, each with its line and column.
func wording(issues *cel.Issues) string {
	var lines []string
	for _, e := range issues.Errors() {
		lines = append(lines, fmt.Sprintf("%d:%d: %s", e.Location.Line(), e.Location.Column()+1, e.Message))
	}
	return strings.Join(lines, "; ")
}

func readsNow(a *cel.Ast) bool {
	for _, reference := range a.NativeRep().ReferenceMap() {
		if reference.Name == "now" {
			return true
		}
	}
	return false
}

// reads tells whether a condition reads fields of a variable that are looked for.
// What is not read by its name could be any field.
func reads(a *cel.Ast, variable string, sought func(field string) bool) bool {
	found, named := 0, 0
	ast.PreOrderVisit(a.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if e.AsIdent() == variable {
				found++
			}
		case ast.SelectKind:
			s := e.AsSelect()
			if o := s.Operand(); o.Kind() == ast.IdentKind && o.AsIdent() == variable && !sought(s.FieldName()) {
				named++
			}
		default: // its parts are visited too
		}
	}))
	return found > named
}

func isField(name string) func(string) bool {
	return func(field string) bool { return field == name }
}

// sizes tells CEL's cost estimate how large the values of a request can be.
type sizes struct{}

// EstimateSize takes every value whose size the text does not tell to be at
// most maxConditionValue long.
func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	if node.ComputedSize() != nil {
		return nil
	}
	return &cost.SizeEstimate{Max: maxConditionValue}
}

// EstimateCallCost leaves calls to CEL's own table.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
