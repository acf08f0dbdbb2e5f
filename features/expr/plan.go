package expr

import (
	"fmt"
	"maps"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/interpreter"
)

// val is a number or a yes (not 0) or no (0); not known when !ok.
type val struct {
	f  float64
	ok bool
}

func truth(b bool) val {
	if b {
		return val{1, true}
	}
	return val{0, true}
}

// node is a part of a split expression.
type node interface {
	// at is its value for the candidate in row.
	at(b *Bound, row int) val
}

type (
	asked struct{ i int } // value i of the request
	known struct{ i int } // column i of the snapshot
	mixed struct{ i int } // residue i, run for the candidate
	among struct{ i int } // whether text i of the item is one of list i of the request
	not   struct{ x node }
	neg   struct{ x node }
	both  struct{ x, y node }
	any2  struct{ x, y node }
	cond  struct{ c, x, y node }
	calc  struct {
		op   string
		x, y node
	}
)

// leaf is a part that CEL evaluates.
type leaf struct {
	prog  cel.Program
	scope scope
	yes   bool // gives yes or no

	always bool // it looks at no field: it is the same for all requests
	is     val  // then
}

// splitter cuts a checked expression into a plan.
type splitter struct {
	p    *Program
	env  *cel.Env
	tree *ast.AST
	refs map[int64]*ast.ReferenceInfo // with those of what was hoisted
	fac  ast.ExprFactory
}

func (p *Program) split(env *cel.Env, tree *ast.AST) error {
	s := &splitter{p: p, env: env, tree: tree, refs: maps.Clone(tree.ReferenceMap()), fac: ast.NewExprFactory()}
	var err error
	if p.root, err = s.build(tree.Expr()); err == nil {
		p.needs = needs(p.root)
	}
	return err
}

// needs reports whether n is known of no row without an item: columns know
// nothing of such a row.
func needs(n node) bool {
	switch n := n.(type) {
	case known, among:
		return true
	case not:
		return needs(n.x)
	case neg:
		return needs(n.x)
	case both: // either may decide alone
		return needs(n.x) && needs(n.y)
	case any2:
		return needs(n.x) && needs(n.y)
	case cond:
		return needs(n.c) || needs(n.x) && needs(n.y)
	case calc:
		return needs(n.x) || needs(n.y)
	}
	return false
}

func (s *splitter) build(x ast.Expr) (node, error) {
	deps := s.scope(x)
	switch {
	case deps&onRequest == 0 && deps&(onItem|onMarket) != 0:
		prog, err := s.program(x)
		s.p.items = append(s.p.items, leaf{prog: prog, scope: deps, yes: s.gives(x, cel.BoolType)})
		return known{len(s.p.items) - 1}, err
	case deps&(onItem|onMarket) == 0:
		prog, err := s.program(x)
		a := leaf{prog: prog}
		if deps == 0 && err == nil {
			a.always, a.is = true, eval(prog, interpreter.EmptyActivation())
		}
		s.p.asks = append(s.p.asks, a)
		return asked{len(s.p.asks) - 1}, err
	}
	if x.Kind() == ast.CallKind {
		call := x.AsCall()
		var made []node
		if s.native(call) {
			for _, arg := range call.Args() {
				n, err := s.build(arg)
				if err != nil {
					return nil, err
				}
				made = append(made, n)
			}
			return operator(call.FunctionName(), made), nil
		}
	}
	if n, ok, err := s.among(x); ok || err != nil {
		return n, err
	}
	residue := s.fac.CopyExpr(x)
	if err := s.hoist(residue); err != nil {
		return nil, err
	}
	prog, err := s.program(residue)
	s.p.residues = append(s.p.residues, leaf{prog: prog, scope: deps, yes: s.gives(x, cel.BoolType)})
	return mixed{len(s.p.residues) - 1}, err
}

// among makes a text of the item that is looked for among texts of the request
// or the shopper, which are evaluated once a request.
func (s *splitter) among(x ast.Expr) (node, bool, error) {
	if x.Kind() != ast.CallKind || x.AsCall().FunctionName() != operators.In {
		return nil, false, nil
	}
	one, all := x.AsCall().Args()[0], x.AsCall().Args()[1]
	deps, of := s.scope(one), s.tree.GetType(all.ID())
	texts := of.IsExactType(cel.ListType(cel.StringType)) || of.IsExactType(cel.MapType(cel.StringType, cel.DoubleType))
	if deps&onRequest != 0 || deps == 0 || s.scope(all) != onRequest || !texts || !s.gives(one, cel.StringType) {
		return nil, false, nil
	}
	text, err := s.program(one)
	if err != nil {
		return nil, false, err
	}
	list, err := s.program(all)
	if err != nil {
		return nil, false, err
	}
	s.p.texts = append(s.p.texts, leaf{prog: text, scope: deps})
	s.p.lists = append(s.p.lists, list)
	return among{len(s.p.texts) - 1}, true, nil
}

// native reports whether a call is one that nodes do themselves: the
// connectives, and arithmetic and comparison of numbers.
func (s *splitter) native(call ast.CallExpr) bool {
	want := cel.DoubleType
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot:
		want = cel.BoolType
	case operators.Conditional:
		if !s.gives(args[0], cel.BoolType) || !s.gives(args[1], cel.BoolType) && !s.gives(args[1], cel.DoubleType) {
			return false
		}
		return s.tree.GetType(args[1].ID()).IsExactType(s.tree.GetType(args[2].ID()))
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Negate,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
		operators.Equals, operators.NotEquals:
	default:
		return false
	}
	for _, arg := range args {
		if !s.gives(arg, want) {
			return false
		}
	}
	return true
}

func (s *splitter) gives(x ast.Expr, t *cel.Type) bool { return s.tree.GetType(x.ID()).IsExactType(t) }

func operator(name string, args []node) node {
	// The parser may join more than two of the same connective.
	join := func(two func(x, y node) node) node {
		n := args[0]
		for _, a := range args[1:] {
			n = two(n, a)
		}
		return n
	}
	switch name {
	case operators.LogicalAnd:
		return join(func(x, y node) node { return both{x, y} })
	case operators.LogicalOr:
		return join(func(x, y node) node { return any2{x, y} })
	case operators.LogicalNot:
		return not{args[0]}
	case operators.Negate:
		return neg{args[0]}
	case operators.Conditional:
		return cond{args[0], args[1], args[2]}
	}
	return calc{name, args[0], args[1]}
}

// hoist replaces what looks at the request alone by a variable that is bound
// once a request. What lies in a comprehension's body stays, for it may name
// the comprehension's own variables.
func (s *splitter) hoist(x ast.Expr) error {
	if s.scope(x) == onRequest && x.Kind() != ast.IdentKind {
		prog, err := s.program(s.fac.CopyExpr(x))
		if err != nil {
			return err
		}
		name := "@" + strconv.Itoa(len(s.p.hoisted))
		s.p.hoisted = append(s.p.hoisted, prog)
		x.SetKindCase(s.fac.NewIdent(x.ID(), name))
		s.refs[x.ID()] = ast.NewIdentReference(name, nil)
		return nil
	}
	var parts []ast.Expr
	switch x.Kind() {
	case ast.CallKind:
		parts = append(parts, x.AsCall().Args()...)
		if x.AsCall().IsMemberFunction() {
			parts = append(parts, x.AsCall().Target())
		}
	case ast.ListKind:
		parts = x.AsList().Elements()
	case ast.ComprehensionKind:
		parts = append(parts, x.AsComprehension().IterRange())
	}
	for _, part := range parts {
		if err := s.hoist(part); err != nil {
			return err
		}
	}
	return nil
}

// scope is what x depends on. Names that are no field are a comprehension's
// own and are bound inside whatever is asked about.
func (s *splitter) scope(x ast.Expr) scope {
	var deps scope
	ast.PreOrderVisit(x, ast.NewExprVisitor(func(x ast.Expr) {
		if k := x.Kind(); k != ast.IdentKind && k != ast.SelectKind {
			return
		}
		if ref, ok := s.refs[x.ID()]; ok && ref.Name != "" {
			if i, ok := s.p.engine.index[ref.Name]; ok {
				deps |= s.p.engine.fields[i].scope
			} else if ref.Name[0] == '@' && x.AsIdent() == ref.Name && isHoisted(ref.Name) {
				deps |= onRequest
			}
		}
	}))
	return deps
}

func isHoisted(name string) bool {
	_, err := strconv.Atoi(name[1:])
	return err == nil
}

// program makes a part of the tree runnable by itself.
func (s *splitter) program(x ast.Expr) (cel.Program, error) {
	part := ast.NewCheckedAST(ast.NewAST(x, s.tree.SourceInfo()), s.tree.TypeMap(), s.refs)
	pb, err := ast.ToProto(part)
	if err != nil {
		return nil, fmt.Errorf("part: %w", err)
	}
	return s.env.Program(cel.CheckedExprToAst(pb))
}
