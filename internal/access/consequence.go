package access

import "time"

// Hold tells how somebody holds a right: not at all, always, or under conditions,
// which stand here by their ids and are not evaluated. The condition of a right
// that must be held too is followed by "@" and that right where it reads what is
// asked for.
type Hold struct {
	May    bool
	When   [][]string // of each list, one condition must hold
	Unless []string   // none of these conditions may hold
}

// Certain tells whether the right is held whatever a request says.
func (h Hold) Certain() bool { return h.May && len(h.When)+len(h.Unless) == 0 }

// Turn is what becomes of a right.
type Turn string

// The turns. Whoever held a right under conditions and holds it under others, or
// under none, or the other way about, has it changed.
const (
	TurnGained  Turn = "gained"
	TurnLost    Turn = "lost"
	TurnChanged Turn = "changed"
)

// Consequence is what a change does to actions on one section in one scope, for all
// who have the same done to them.
type Consequence struct {
	Turn    Turn
	Section Section
	Actions []Action
	Scope   Scope   // there and in everything below
	Except  []Scope // but not there and below
	Before  Hold
	After   Hold
	From    time.Time // the moment from which it is so; zero: at once
	Until   time.Time // the moment at which it is over; zero: it stays so

	Users, Groups int      // how many
	UserIDs       []string // of some of them: at most ConsequenceOptions.Names
	GroupCodes    []string // likewise; what somebody holds who is in the group and has every licence
	Applications  []string // codes
	Anonymous     bool     // questions without a user
}

// ConsequenceOptions for finding consequences. The zero value looks at everybody.
type ConsequenceOptions struct {
	Who      []string              // names as in rules, see Holdings: only they and whoever has links to them
	Some     bool                  // only Who, even where that is empty
	Names    int                   // how many users and groups each of them names; 100 when 0
	Progress func(done, total int) // holders that have been looked at; may be nil
}

// Consequences is what a change does, in all.
type Consequences struct {
	Foreign bool // the model is not ours: nobody holds anything by our words, and nothing was looked at
	Looked  int  // users, groups and applications that were looked at

	Users, Groups, Applications int // to whom anything is done
	Gaining, Losing, Changing   int // users who gain something, lose something, have something changed

	SuperusersMade, SuperusersLost []string // users, as in rules

	All []Consequence // what is lost first, then what is gained, then what is changed; by section and scope
}
