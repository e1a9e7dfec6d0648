package store

import (
	"cmp"
	"math"
	"slices"
)

// The order of a tenant's rules lies in their ids, and that of its documents
// and users in their positions. The numbers have wide gaps, so that whatever is
// written between two neighbours takes a number between theirs: a small change
// stays small. A stock Casbin adapter, which reads ORDER BY id, sees the same
// order as Load, and the primary key (tenant_id, id) delivers it without sorting.
//
// The first number is step, and those appended at the end follow step by step.
// One gap takes 36 insertions at its worst place before all are numbered anew.
const step = int64(1) << 36

// arrange gives the numbers of things in their wanted order. had holds the
// number that each has already, or 0. As many as possible keep theirs.
func arrange(had []int64) []int64 {
	numbers := make([]int64, len(had))
	for _, i := range rising(had) {
		numbers[i] = had[i]
	}
	for i := 0; i < len(numbers); i++ {
		if numbers[i] != 0 {
			continue
		}
		end := i
		for end < len(numbers) && numbers[end] == 0 {
			end++
		}
		if !fill(numbers, i, end) {
			return afresh(len(had))
		}
		i = end
	}
	return numbers
}

// fill spaces numbers[from:to] evenly between their neighbours, and reports
// false if there is no room.
func fill(numbers []int64, from, to int) bool {
	below, gap := int64(0), step
	if from > 0 {
		below = numbers[from-1]
	}
	count := int64(to - from)
	if to < len(numbers) {
		gap = (numbers[to] - below) / (count + 1)
	} else if below > math.MaxInt64-(count+1)*step {
		return false
	}
	if gap < 1 {
		return false
	}
	for i := from; i < to; i++ {
		below += gap
		numbers[i] = below
	}
	return true
}

func afresh(n int) []int64 {
	numbers := make([]int64, n)
	for i := range numbers {
		numbers[i] = int64(i+1) * step
	}
	return numbers
}

// rising gives the indices of a longest rising run of numbers, zeros left out.
func rising(numbers []int64) []int {
	var tops []int // tops[k] ends the run of length k+1 whose end is lowest
	before := make([]int, len(numbers))
	for i, n := range numbers {
		if n == 0 {
			continue
		}
		k, _ := slices.BinarySearchFunc(tops, n, func(top int, n int64) int { return cmp.Compare(numbers[top], n) })
		before[i] = -1
		if k > 0 {
			before[i] = tops[k-1]
		}
		if k == len(tops) {
			tops = append(tops, i)
		} else {
			tops[k] = i
		}
	}
	if len(tops) == 0 {
		return nil
	}
	run := make([]int, len(tops))
	for i, at := len(tops)-1, tops[len(tops)-1]; i >= 0; i-- {
		run[i], at = at, before[at]
	}
	return run
}

// edit is one difference between what there is and what is wanted. The zero
// record stands for "not there".
type edit[R any] struct {
	old, new       R
	hadOld, hasNew bool
}

// diff gives the edits that turn what there is into what is wanted: wanted ones
// in their order, then what goes, in its order.
func diff[R record[R]](have, want []R) []edit[R] {
	from := origins(have, want)
	had, stays := make([]int64, len(want)), make([]bool, len(have))
	for i, at := range from {
		if at >= 0 {
			had[i], stays[at] = have[at].number(), true
		}
	}
	var edits []edit[R]
	for i, number := range arrange(had) {
		e := edit[R]{new: want[i].at(number), hasNew: true}
		if at := from[i]; at >= 0 {
			e.old, e.hadOld = have[at], true
		}
		if e.old != e.new {
			edits = append(edits, e)
		}
	}
	for at, h := range have {
		if !stays[at] {
			edits = append(edits, edit[R]{old: h, hadOld: true})
		}
	}
	return edits
}

// origins tells where each wanted thing is among those that there are, or -1.
// What both begin with, and what both end with, is nearly everything.
func origins[R record[R]](have, want []R) []int {
	from := make([]int, len(want))
	head, tail, least := 0, 0, min(len(have), len(want))
	same := func(h, w R) bool { return h == w.at(h.number()) || h.key() == w.key() }
	for ; head < least && same(have[head], want[head]); head++ {
		from[head] = head
	}
	for ; head+tail < least && same(have[len(have)-1-tail], want[len(want)-1-tail]); tail++ {
		from[len(want)-1-tail] = len(have) - 1 - tail
	}
	places := make(map[string]int, len(have)-tail-head)
	for i, h := range have[head : len(have)-tail] {
		places[h.key()] = head + i
	}
	for i, w := range want[head : len(want)-tail] {
		at, there := places[w.key()]
		if !there {
			at = -1
		}
		from[head+i] = at
	}
	return from
}
