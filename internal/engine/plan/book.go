package plan

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Book is the rules of a policy as numbers: each of their texts once, and no more
// than a few bytes for where a rule stands and was written. It never changes.
// Engines read their rules in it, and any rule can be written out again.
type Book struct {
	names    *names
	lists    map[string]*list // by type
	places   series           // by number of the rule, as the three that follow
	origins  series           // packed
	files    []string
	odd      []access.Origin // those that cannot be packed
	validity map[int]access.Validity
	written  []atomic.Pointer[copied]
}

// list is the rules of one type.
type list struct {
	kind    string
	width   int
	cells   []uint32 // row by row, numbers of names
	numbers series   // of each row among all rules
}

func (l *list) row(i int) []uint32 { return l.cells[i*l.width : (i+1)*l.width : (i+1)*l.width] }

// copied is a rule that was written out, to be handed out again.
type copied struct {
	number int
	rule   access.Rule
}

// maxWritten is how many rules are kept written out, each in one of so many
// places that go by its number.
const (
	maxWritten = 8192
	ways       = 4
)

// newBook reads rules of these types and widths; all others must have been refused.
func newBook(rules []access.Rule, widths map[string]int) *Book {
	b := &Book{names: newNames(), lists: map[string]*list{}, validity: map[int]access.Validity{}}
	count := map[string]int{}
	for i := range rules {
		count[rules[i].Type]++
	}
	for kind, width := range widths {
		b.lists[kind] = &list{kind: kind, width: width, cells: make([]uint32, 0, count[kind]*width)}
	}
	for i := range rules {
		b.read(i, &rules[i])
	}
	b.names.seal()
	size := ways
	for size < min(len(rules), maxWritten) {
		size *= 2
	}
	b.written = make([]atomic.Pointer[copied], size)
	return b
}

func (b *Book) read(number int, r *access.Rule) {
	l := b.lists[r.Type]
	for field := range l.width {
		value := "" // only if a switch lets the rule through
		if field < len(r.Values) {
			value = r.Values[field]
		}
		l.cells = append(l.cells, b.names.add(value))
	}
	l.numbers.add(int64(number))
	b.places.add(r.Place)
	b.origins.add(b.pack(r.Origin))
	if r.Validity != (access.Validity{}) {
		b.validity[number] = r.Validity
	}
}

// An origin is packed as file, line and column, or else as the place in odd
// below zero; none is 0.
const (
	columnBits = 12
	lineBits   = 32
	fileLimit  = 1 << (63 - columnBits - lineBits)
)

func (b *Book) pack(from access.Origin) int64 {
	if from == (access.Origin{}) {
		return 0
	}
	file := len(b.files) - 1 // mostly the same as before
	if file < 0 || b.files[file] != from.File {
		file = slices.Index(b.files, from.File)
	}
	if file < 0 {
		file = len(b.files)
		b.files = append(b.files, from.File)
	}
	if file+1 >= fileLimit || from.Line < 0 || from.Line >= 1<<lineBits || from.Column < 0 || from.Column >= 1<<columnBits {
		b.odd = append(b.odd, from)
		return -int64(len(b.odd))
	}
	return int64(file+1)<<(lineBits+columnBits) | int64(from.Line)<<columnBits | int64(from.Column)
}

// origin gives where a rule was written.
func (b *Book) origin(number int) access.Origin {
	packed := b.origins.get(number)
	switch {
	case packed == 0:
		return access.Origin{}
	case packed < 0:
		return b.odd[-packed-1]
	}
	return access.Origin{
		File: b.files[packed>>(lineBits+columnBits)-1], Line: int(packed >> columnBits & (1<<lineBits - 1)), Column: int(packed & (1<<columnBits - 1)),
	}
}

// Len is how many rules there are.
func (b *Book) Len() int { return b.places.len() }

// Rule gives a rule by its number. It is written out when it is first asked for,
// and kept for a while: whoever gets it must not change it.
func (b *Book) Rule(number int) *access.Rule {
	spread := uint64(number) * mixer >> 32 //nolint:gosec // any bits will do
	slots := b.written[int(spread)&(len(b.written)-ways):]
	free := int(spread>>20) % ways
	for i := range ways {
		switch kept := slots[i].Load(); {
		case kept == nil:
			free = i
		case kept.number == number:
			return &kept.rule
		}
	}
	fresh := &copied{number: number}
	for _, l := range b.lists {
		if row, ok := l.numbers.find(int64(number)); ok {
			fresh.rule = b.write(l, row, number)
			break
		}
	}
	for i, v := range fresh.rule.Values {
		fresh.rule.Values[i] = strings.Clone(v) // whoever keeps the rule shall not keep all texts
	}
	slots[free].Store(fresh)
	return &fresh.rule
}

// Rules writes out all rules, in their order.
func (b *Book) Rules() []access.Rule {
	all := make([]access.Rule, b.Len())
	for _, l := range b.lists {
		for row := range l.numbers.len() {
			number := int(l.numbers.get(row))
			all[number] = b.write(l, row, number)
		}
	}
	return all
}

func (b *Book) write(l *list, row, number int) access.Rule {
	return access.Rule{
		Type: l.kind, Values: b.values(l.row(row)), Validity: b.validity[number], Place: b.places.get(number), Origin: b.origin(number),
	}
}

func (b *Book) values(row []uint32) []string {
	values := make([]string, len(row))
	for i, id := range row {
		values[i] = b.names.text(id)
	}
	return values
}

// Turns are the moments at which some rule begins or ceases to hold, in order.
func (b *Book) Turns() []time.Time {
	var all []time.Time
	for v := range maps.Values(b.validity) {
		for _, at := range []time.Time{v.From, v.Until} {
			if !at.IsZero() {
				all = append(all, at)
			}
		}
	}
	return ordered(all)
}

func ordered(moments []time.Time) []time.Time {
	slices.SortFunc(moments, time.Time.Compare)
	return slices.CompactFunc(moments, time.Time.Equal)
}

// rows are some rows of a list, in the order in which they count.
type rows struct {
	list  *list
	order []uint32 // nil where they are all of the list, as they stand
}

func (r *rows) len() int {
	if r.order != nil {
		return len(r.order)
	}
	return r.list.numbers.len()
}

func (r *rows) at(i int) int {
	if r.order != nil {
		return int(r.order[i])
	}
	return i
}

func (r *rows) row(i int) []uint32 { return r.list.row(r.at(i)) }

// number is that of row i among all rules, -1 for none.
func (r *rows) number(i int) int {
	if i < 0 {
		return -1
	}
	return int(r.list.numbers.get(r.at(i)))
}

// sort orders the rows, keeping the order of equals.
func (r *rows) sort(compare func(a, b int) int) {
	order := make([]int, r.len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	sorted := make([]uint32, len(order))
	for i, k := range order {
		sorted[i] = uint32(r.at(k)) //nolint:gosec // maxRules keeps it small
	}
	r.order = sorted
}
