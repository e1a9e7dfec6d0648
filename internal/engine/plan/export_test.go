package plan

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
