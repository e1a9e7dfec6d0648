package engine

import "slices"

// pageSize is how many entries are copied where one of them changes.
const pageSize = 256

// pages is a list that successive snapshots share but for the pages on which
// they differ.
type pages[T any] struct {
	table []*[pageSize]T // nil stands for a page of zero values
	n     uint32         // one more than the highest number in use
}

// at gives an entry to be read, or nil where nothing was ever written nearby.
func (p *pages[T]) at(i uint32) *T {
	page := int(i / pageSize)
	if page >= len(p.table) || p.table[page] == nil {
		return nil
	}
	return &p.table[page][i%pageSize]
}

// draft is a list while it is being changed. What it was made from stays as it is.
type draft[T any] struct {
	pages[T]
	own []bool // pages that are copies already
}

func (p pages[T]) draft() *draft[T] {
	return &draft[T]{pages: pages[T]{table: slices.Clone(p.table), n: p.n}, own: make([]bool, len(p.table))}
}

// edit gives an entry to be written.
func (d *draft[T]) edit(i uint32) *T {
	page := int(i / pageSize)
	for page >= len(d.table) {
		d.table, d.own = append(d.table, nil), append(d.own, false)
	}
	if !d.own[page] {
		d.own[page] = true
		before := d.table[page]
		d.table[page] = new([pageSize]T)
		if before != nil {
			*d.table[page] = *before
		}
	}
	d.n = max(d.n, i+1)
	return &d.table[page][i%pageSize]
}
