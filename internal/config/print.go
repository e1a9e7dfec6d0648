package config

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// masked stands for a secret in print.
const masked = "***"

// Print writes the whole configuration as a YAML file. With redacted, secrets
// are masked: of a DSN the password, or all of it where no password is found
// but one may stand. What was read from a file of secrets is not printed at
// all, so that the print can be loaded again.
func (c Config) Print(redacted bool) string {
	for _, k := range Keys() {
		if k.fills != "" && k.in(&c).String() != "" {
			l := keyNamed(k.fills)
			l.in(&c).SetString("")
		}
	}
	var w strings.Builder
	printSections(&w, c, func(k Key) string {
		v := k.in(&c)
		if redacted && k.Secret {
			return strconv.Quote(mask(k, c.Store.DriverName(), v.String()))
		}
		return scalar(v)
	}, false)
	return w.String()
}

// Reference writes every key with its default and explanation. The file
// conf/bailiwick.yaml is this text.
func Reference() string {
	var w strings.Builder
	comment(&w, "", "Every setting of bailiwick with its default. Give the file with --config or BAILIWICK_CONFIG; keep only the lines you change.")
	comment(&w, "", "A flag beats the environment, the environment beats this file. The names follow from the keys: server.listen is --server-listen and BAILIWICK_SERVER_LISTEN; a list is written there with commas.")
	comment(&w, "", `Durations are written "10s", "250ms", "1m30s"; sizes are bytes, or written with KiB or MiB.`)
	c := Default()
	printSections(&w, c, func(k Key) string { return scalar(k.in(&c)) }, true)
	return w.String()
}

func printSections(w *strings.Builder, c Config, value func(Key) string, explained bool) {
	byName := map[string]Key{}
	for _, k := range Keys() {
		byName[k.Name] = k
	}
	p := printer{w: w, keys: byName, value: value, explained: explained}
	p.section(reflect.TypeOf(c), "", "")
}

type printer struct {
	w         *strings.Builder
	keys      map[string]Key
	value     func(Key) string
	explained bool
}

// section writes the fields of a struct, and sections within it.
func (p *printer) section(t reflect.Type, name, indent string) {
	for i := range t.NumField() {
		f := t.Field(i)
		own := f.Tag.Get("yaml")
		k, isKey := p.keys[join(name, own)]
		if p.explained {
			if indent == "" {
				p.w.WriteByte('\n')
			}
			comment(p.w, indent, f.Tag.Get("doc")+accepted(k))
		}
		if isKey {
			p.w.WriteString(indent + own + ": " + p.value(k) + "\n")
			continue
		}
		p.w.WriteString(indent + own + ":\n")
		p.section(f.Type, join(name, own), indent+"  ")
	}
}

func keyNamed(name string) Key {
	all := Keys()
	return all[slices.IndexFunc(all, func(k Key) bool { return k.Name == name })]
}

func accepted(k Key) string {
	if k.least == "" {
		return ""
	}
	return " (" + k.least + " to " + k.most + ")"
}

func scalar(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case string:
		return strconv.Quote(value)
	case []string:
		quoted := make([]string, len(value))
		for i, item := range value {
			quoted[i] = strconv.Quote(item)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return text(v)
	}
}

// comment writes a text in lines of at most 90 characters.
func comment(w *strings.Builder, indent, s string) {
	line := indent + "#"
	for word := range strings.FieldsSeq(s) {
		if len(line)+1+len(word) > 90 {
			w.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	w.WriteString(line + "\n")
}

// password finds user:password@ at the head of a DSN. It is greedy: a password
// may hold an @, and hiding too much is no harm.
var password = regexp.MustCompile(`(?s)^([^:@/]*):.*@`)

// mask hides a secret; of a DSN only what is secret in it.
func mask(k Key, driver, value string) string {
	switch {
	case k.Name == "store.dsn":
		return maskDSN(driver, value)
	case value == "":
		return ""
	}
	return masked
}

func maskDSN(driver, dsn string) string {
	switch {
	case password.MatchString(dsn):
		return password.ReplaceAllString(dsn, "${1}:"+masked+"@")
	case driver == "sqlite" || dsn == "":
		return dsn
	}
	return masked
}
