package plan

import "github.com/casbin/casbin/v2/util"

// Switches turn off single safety rules.
var Switches = map[string]*bool{
	"any arity":       &switches.anyArity,
	"bad patterns":    &switches.badPatterns,
	"index anything":  &switches.indexAnything,
	"no string check": &switches.noStringCheck,
	"pattern roles":   &switches.patternRoles,
	"unsorted":        &switches.unsorted,
	"empty denies":    &switches.emptyDenies,
}

// MatchPattern compares as the native plan does; ok is false for what is no
// pattern.
func MatchPattern(function, text, with string) (matched, ok bool) {
	p, err := patterns{}.add(function, with)
	switch {
	case err != nil:
		return false, false
	case p != nil:
		return p(text), true
	case function == "keyMatch":
		return util.KeyMatch(text, with), true
	}
	return matchPath(function, text, with), true
}

// Anchor is what the index makes of a pattern.
func Anchor(function, with string) (prefix string, exact bool) { return anchor(function, with) }

// Grouped tells whether keyMatch4 would fail with a pattern.
func Grouped(with string) bool { return grouped(with) }

// OccupyScans takes every turn of long scans until it is released.
func OccupyScans() (release func()) {
	for range cap(scans) {
		scans <- struct{}{}
	}
	return func() {
		for range cap(scans) {
			<-scans
		}
	}
}

// Series packs numbers and reads them again, each by its place and its place by
// each.
func Series(all []int64) (back []int64, found []int, runs int) {
	var s series
	for _, v := range all {
		s.add(v)
	}
	for i := range s.len() {
		back = append(back, s.get(i))
		at, ok := s.find(all[i])
		if !ok {
			at = -1
		}
		found = append(found, at)
	}
	return back, found, len(s.runs)
}
