package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// ErrExpression is returned for a text that is no valid expression.
var ErrExpression = errors.New("bad expression")

// Kind says what an expression is for: what it gives and what it may look at.
type Kind uint8

// The kinds of expressions.
const (
	Rule    Kind = iota // yes or no about an item, for a shopper and request
	Number              // a number for an item, for a shopper and request
	Segment             // yes or no about a shopper; knows no item
)

// MaxCost bounds the estimated cost of one evaluation, in CEL's units: roughly
// one for an operation, a tenth for a character looked at.
const MaxCost = 20_000

const maxSource = 4096

// Engine compiles expressions. It is immutable and safe for concurrent use.
type Engine struct {
	fields []field
	index  map[string]int
	whole  *cel.Env // all fields
	noItem *cel.Env // those of segments
}

// New is an engine with all fields.
func New() (*Engine, error) {
	e := &Engine{fields: vocabulary(), index: map[string]int{}}
	limits := []cel.EnvOption{
		cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(64), cel.ParserExpressionSizeLimit(maxSource),
	}
	var some []cel.EnvOption
	all := slices.Clone(limits)
	some = append(some, limits...)
	for i, f := range e.fields {
		e.index[f.Name] = i
		all = append(all, cel.Variable(f.Name, f.typ))
		if f.scope == onRequest {
			some = append(some, cel.Variable(f.Name, f.typ))
		}
	}
	var err error
	if e.whole, err = cel.NewEnv(all...); err != nil {
		return nil, fmt.Errorf("expression engine: %w", err)
	}
	if e.noItem, err = cel.NewEnv(some...); err != nil {
		return nil, fmt.Errorf("expression engine: %w", err)
	}
	return e, nil
}

// Fields lists what an expression of the kind may use, by name.
func (e *Engine) Fields(kind Kind) []Field {
	var fs []Field
	for _, f := range e.fields {
		if kind != Segment || f.scope == onRequest {
			fs = append(fs, f.Field)
		}
	}
	slices.SortFunc(fs, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return fs
}

// Compile checks, bounds and splits source. What it reports wraps
// ErrExpression and says at which line and column, and which fields there are
// when one is not known.
func (e *Engine) Compile(source string, kind Kind) (*Program, error) {
	if kind > Segment {
		return nil, fmt.Errorf("%w: no kind %d of expression", ErrExpression, kind)
	}
	if strings.TrimSpace(source) == "" {
		return nil, fmt.Errorf("%w: it is empty", ErrExpression)
	}
	if len(source) > maxSource {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrExpression, len(source), maxSource)
	}
	env := e.whole
	if kind == Segment {
		env = e.noItem
	}
	checked, err := e.check(env, source, kind)
	if err != nil {
		return nil, err
	}
	switch out := checked.OutputType(); {
	case kind == Number && !out.IsExactType(cel.DoubleType) && !out.IsExactType(cel.IntType):
		return nil, fmt.Errorf("%w: it gives a %s, but a number is needed", ErrExpression, out)
	case kind != Number && !out.IsExactType(cel.BoolType):
		return nil, fmt.Errorf("%w: it gives a %s, but yes or no is needed", ErrExpression, out)
	}
	cost, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExpression, err)
	}
	if cost.Max > MaxCost {
		return nil, fmt.Errorf("%w: it may cost %d, at most %d: compare fewer lists with each other", ErrExpression, cost.Max, MaxCost)
	}
	p := &Program{engine: e, source: source, kind: kind, cost: cost.Max}
	if p.plain, err = env.Program(checked); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExpression, err)
	}
	if err := p.split(env, checked.NativeRep()); err != nil {
		return nil, fmt.Errorf("%w: split: %w", ErrExpression, err)
	}
	return p, nil
}

// check parses and type-checks. Whole numbers beside numbers are taken as
// numbers: "item.price * 2" means 2.0.
func (e *Engine) check(env *cel.Env, source string, kind Kind) (*cel.Ast, error) {
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, e.explain(nil, issues, kind)
	}
	root := parsed.NativeRep().Expr()
	for {
		checked, issues := env.Check(parsed)
		if issues.Err() == nil {
			return checked, nil
		}
		wrong := map[int64]bool{}
		for _, err := range issues.Errors() {
			wrong[err.ExprID] = true
		}
		if !widen(root, wrong) {
			return nil, e.explain(root, issues, kind)
		}
	}
}

// widen makes whole numbers that are operands of the wrong calls numbers and
// reports whether there was one.
func widen(root ast.Expr, wrong map[int64]bool) bool {
	changed := false
	literal := func(x ast.Expr) {
		if x.Kind() != ast.LiteralKind {
			return
		}
		if n, ok := x.AsLiteral().(types.Int); ok {
			x.SetKindCase(ast.NewExprFactory().NewLiteral(x.ID(), types.Double(n)))
			changed = true
		}
	}
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		if !wrong[x.ID()] || x.Kind() != ast.CallKind || !widens[x.AsCall().FunctionName()] {
			return
		}
		for _, arg := range x.AsCall().Args() {
			literal(arg)
			if arg.Kind() == ast.ListKind {
				for _, el := range arg.AsList().Elements() {
					literal(el)
				}
			}
		}
	}))
	return changed
}

var widens = map[string]bool{
	"_+_": true, "_-_": true, "_*_": true, "_/_": true, "_==_": true, "_!=_": true, "_?_:_": true, "@in": true,
}

// explain is the first few faults with their positions, and the fields there
// are when one is not known.
func (e *Engine) explain(root ast.Expr, issues *cel.Issues, kind Kind) error {
	full := map[int64]string{} // of the first part of a dotted name: the name
	if root != nil {
		ast.PreOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
			if x.Kind() == ast.SelectKind && x.AsSelect().Operand().Kind() == ast.IdentKind {
				of := x.AsSelect().Operand()
				full[of.ID()] = of.AsIdent() + "." + x.AsSelect().FieldName()
			}
		}))
	}
	var parts []string
	unknown := false
	for i, err := range issues.Errors() {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(issues.Errors())-i))
			break
		}
		msg := strings.ReplaceAll(err.Message, "\n", " ")
		msg = strings.ReplaceAll(msg, " (in container '')", "")
		if name := full[err.ExprID]; name != "" && strings.HasPrefix(msg, "undeclared reference") {
			msg = fmt.Sprintf("undeclared reference to '%s'", name)
		}
		unknown = unknown || strings.Contains(msg, "undeclared reference") || strings.Contains(msg, "undefined field")
		parts = append(parts, fmt.Sprintf("line %d, column %d: %s", err.Location.Line(), err.Location.Column()+1, msg))
	}
	text := strings.Join(parts, "; ")
	if unknown {
		var names []string
		for _, f := range e.Fields(kind) {
			names = append(names, f.Name)
		}
		text += "; the fields are " + strings.Join(names, ", ")
	}
	return fmt.Errorf("%w: %s", ErrExpression, text)
}

// sizes bounds what is bound to the fields, for the estimate of cost.
type sizes struct{}

func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	switch node.Type().Kind() {
	case types.ListKind, types.MapKind:
		return &checker.SizeEstimate{Max: maxList}
	case types.StringKind, types.BytesKind:
		return &checker.SizeEstimate{Max: maxText}
	}
	return nil
}

func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// smallest is the n least of names, ascending.
func smallest(names []string, n int) []string {
	slices.Sort(names)
	return names[:min(n, len(names))]
}
