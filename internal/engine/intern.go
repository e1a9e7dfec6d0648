package engine

// table numbers the names of one sort, from 1 on; 0 means "no such name". It is
// filled while a snapshot is compiled and only read afterwards: a request with
// an unknown name leaves no trace in it.
type table[K comparable] struct {
	ids   map[K]uint32
	names []K // names[id]
}

func newTable[K comparable]() table[K] {
	return table[K]{ids: map[K]uint32{}, names: make([]K, 1)}
}

// add gives the number of a name and numbers it if it is new.
func (t *table[K]) add(name K) uint32 {
	if id, ok := t.ids[name]; ok {
		return id
	}
	id := t.len()
	t.ids[name] = id
	t.names = append(t.names, name)
	return id
}

// id gives the number of a name, or 0.
func (t *table[K]) id(name K) uint32 { return t.ids[name] }

// len is one more than the highest number.
func (t *table[K]) len() uint32 { return number(len(t.names)) }

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

func (r *runs[T]) of(owner uint32) []T {
	return r.entries[r.starts[owner]:r.starts[owner+1]]
}
