package config

import (
	"reflect"
	"regexp"
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
	if c.Store.DSNFile != "" {
		c.Store.DSN = ""
	}
	var w strings.Builder
	printSections(&w, c, func(k Key) string {
		v := k.in(&c)
		if redacted && k.Secret {
			return strconv.Quote(maskDSN(c.Store.DriverName(), v.String()))
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
	keys, sections := Keys(), reflect.TypeOf(c)
	for i := range sections.NumField() {
		f := sections.Field(i)
		if explained {
			w.WriteByte('\n')
			comment(w, "", f.Tag.Get("doc"))
		}
		w.WriteString(f.Tag.Get("yaml") + ":\n")
		for _, k := range keys {
			if k.index[0] != i {
				continue
			}
			if explained {
				comment(w, "  ", k.Usage+accepted(k))
			}
			_, name, _ := strings.Cut(k.Name, ".")
			w.WriteString("  " + name + ": " + value(k) + "\n")
		}
	}
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

func maskDSN(driver, dsn string) string {
	switch {
	case password.MatchString(dsn):
		return password.ReplaceAllString(dsn, "${1}:"+masked+"@")
	case driver == "sqlite" || dsn == "":
		return dsn
	}
	return masked
}
