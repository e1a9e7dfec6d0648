package api

// Consistency says how fresh the state must be that answers. Left out, the
// state that the replica knows will do, which is a moment old at most. In a
// batch, the strongest wish of all its questions holds for all of them, and all
// that name an earlier state name the same.
type Consistency struct {
	// No older revision may answer than this one, for instance the one that a change was answered with. 503 with the code behind when it is not there within a second.
	AtLeast uint64 `json:"at_least,omitzero"`
	// The newest revision at the time of asking must answer. It costs a question to the store.
	FullyConsistent bool `json:"fully_consistent,omitzero"`
	// An earlier state must answer: that of a revision, by its number, or the one that was in force at a time in the form of RFC 3339. Times of validity are judged by the moment of the revision, or by the time. Needs a key of kind read.
	AsOf string `json:"as_of,omitzero"`
}
