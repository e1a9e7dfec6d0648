package bundle

import (
	"reflect"
	"slices"
	"time"
)

// Update tells whether golden files are to be written anew.
func Update() bool { return *update }

// Keys lists every key of every kind of file.
func Keys() []string {
	var names []string
	seen := map[reflect.Type]bool{}
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		if kind := t.Kind(); kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map {
			visit(t.Elem())
		} else if kind == reflect.Struct {
			if seen[t] || t == reflect.TypeFor[time.Time]() || t.PkgPath() != reflect.TypeFor[field]().PkgPath() {
				return
			}
			seen[t] = true
			for _, f := range fieldsOf(t) {
				if f.name != "" {
					names = append(names, f.name)
					visit(t.FieldByIndex(f.index).Type)
				}
			}
		}
	}
	for _, k := range kinds {
		visit(reflect.TypeOf(k.make()))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
