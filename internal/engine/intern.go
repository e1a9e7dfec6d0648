package engine

import "maps"

// register numbers the names of one sort, from 1 on; 0 means "no such name". A name
// keeps its number through all snapshots that were advanced from one another.
// Only compiling and advancing add names: a request with an unknown name leaves
// no trace.
type register[K comparable] struct {
	ids   map[K]uint32
	later map[K]uint32 // names added since ids was made; nil while that is going on
	names pages[K]     // by number
	draft *draft[K]    // of names, while some are being added
}

// maxLater is how many names are kept beside the others: they are copied with
// each new one, the others only now and then.
const maxLater = 256

func newRegister[K comparable]() register[K] {
	r := register[K]{ids: map[K]uint32{}, draft: pages[K]{}.draft()}
	r.draft.n = 1
	return r
}

// add gives the number of a name and numbers it if it is new.
func (r *register[K]) add(name K) uint32 {
	if id := r.id(name); id != 0 {
		return id
	}
	if r.draft == nil {
		r.thaw()
	}
	id := max(r.draft.n, 1)
	*r.draft.edit(id) = name
	r.names = r.draft.pages
	if r.later == nil {
		r.ids[name] = id
	} else {
		r.later[name] = id
	}
	return id
}

// thaw makes copies of what adding a name changes.
func (r *register[K]) thaw() {
	r.draft = r.names.draft()
	if len(r.later) < maxLater {
		later := make(map[K]uint32, len(r.later)+1)
		maps.Copy(later, r.later)
		r.later = later
		return
	}
	ids := maps.Clone(r.ids)
	maps.Copy(ids, r.later)
	r.ids, r.later = ids, map[K]uint32{}
}

// freeze ends the adding of names.
func (r *register[K]) freeze() { r.draft = nil }

// id gives the number of a name, or 0.
func (r *register[K]) id(name K) uint32 {
	id, ok := r.ids[name]
	if !ok && len(r.later) > 0 {
		id = r.later[name]
	}
	return id
}

// name gives the name of a number; that of 0 is blank.
func (r *register[K]) name(id uint32) (name K) {
	if at := r.names.at(id); at != nil {
		name = *at
	}
	return name
}

// len is one more than the highest number.
func (r *register[K]) len() uint32 { return max(r.names.n, 1) }

// number turns a length into the number of what comes next. Four thousand
// million names or rules do not fit in memory, let alone in a number.
func number(n int) uint32 {
	return uint32(n) //nolint:gosec // see above
}

// runs keeps, for every number, a run of entries, all in one slice.
type runs[T any] struct {
	starts  []uint32 // starts[i] to starts[i+1] is the run of i
	entries []T
}

// newRuns puts entries that were collected as (owner, entry) pairs in runs,
// keeping the order within each run.
func newRuns[T any](owners uint32, of []uint32, entries []T) runs[T] {
	r := runs[T]{starts: make([]uint32, owners+1), entries: make([]T, len(entries))}
	for _, o := range of {
		r.starts[o+1]++
	}
	for i := 1; i < len(r.starts); i++ {
		r.starts[i] += r.starts[i-1]
	}
	next := append([]uint32(nil), r.starts...)
	for i, o := range of {
		r.entries[next[o]] = entries[i]
		next[o]++
	}
	return r
}

// of gives the run of a number; nothing for numbers that are newer than the runs.
func (r *runs[T]) of(owner uint32) []T {
	if int(owner)+1 >= len(r.starts) {
		return nil
	}
	return r.entries[r.starts[owner]:r.starts[owner+1]]
}
