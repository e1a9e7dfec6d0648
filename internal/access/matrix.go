package access

// MatrixQuery says whose effective rights are laid out, and which. What is empty
// does not narrow it.
type MatrixQuery struct {
	Holders []string // as in rules: groups, users, applications, anonymous; all of Kind when empty
	Kind    Kind     // groups when 0; only looked at without Holders
	Scope   Scope    // only what holds in this one; else every scope that anything of a holder's is said of
	Section Section  // only this one and those below it
}

// MaxMatrixRows is how many rows a matrix may have.
const MaxMatrixRows = 100_000

// Matrix is what holders may do, in every section and scope, at one moment. It is
// what decisions would answer, but that conditions are not evaluated.
type Matrix struct {
	Rows       []MatrixRow
	Conditions map[string]string // texts by id, of those that rows name
	Revision   Revision
}

// MatrixRow is what a holder may do in a section: in a scope, and in everything
// below it that has no row of its own for this holder and section. Of a group it is
// what somebody holds who is in that group alone and has a seat of every licence.
type MatrixRow struct {
	Holder  string // as in rules
	Scope   Scope
	Section Section
	Actions []Action           // held whatever is asked
	If      []ConditionalRight // held under conditions
}

// ConditionalRight is an action that is held under conditions.
type ConditionalRight struct {
	Action Action
	Hold   Hold
}
