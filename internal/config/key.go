package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// variablePrefix begins the name of every variable we read.
const variablePrefix = "BAILIWICK_"

// Key is one setting. Its names in the file, the environment and the flags all
// follow from Name.
type Key struct {
	Name    string // "server.read_timeout"
	Usage   string // what it does, one or two sentences
	Default string // as it would be written in the file
	Secret  bool   // holds a secret: never printed as it is

	index  []int    // way to the field in Config
	least  string   // smallest and largest value, both empty when any will do
	most   string   //
	oneOf  []string // the only values accepted, nil when any will do
	fills  string   // name of the key whose value is in the file named here
	isList bool
}

// Keys lists every setting in the order of the struct.
func Keys() []Key { return keysOf(reflect.TypeFor[Config](), "", nil) }

// Flag is the key's name on the command line, without the leading dashes:
// server-read-timeout.
func (k Key) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.Name) }

// Variable is the key's name in the environment: BAILIWICK_SERVER_READ_TIMEOUT.
func (k Key) Variable() string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

func keysOf(t reflect.Type, prefix string, index []int) []Key {
	var keys []Key
	for i := range t.NumField() {
		f := t.Field(i)
		name, way := prefix+f.Tag.Get("yaml"), slices.Concat(index, []int{i})
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(f.Type, name+".", way)...)
			continue
		}
		keys = append(keys, keyOf(f, name, way))
	}
	return keys
}

func keyOf(f reflect.StructField, name string, way []int) Key {
	k := Key{
		Name: name, Usage: f.Tag.Get("doc"), Default: f.Tag.Get("default"), Secret: f.Tag.Get("secret") != "",
		index: way, fills: f.Tag.Get("fills"), isList: f.Type.Kind() == reflect.Slice,
	}
	k.least, k.most, _ = strings.Cut(f.Tag.Get("range"), "..")
	if values := f.Tag.Get("oneof"); values != "" {
		k.oneOf = strings.Split(values, "|")
	}
	return k
}

func (k Key) in(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(k.index) }

// accepts checks a value against the key's range or list of values.
func (k Key) accepts(v reflect.Value) error {
	if k.oneOf != nil {
		for _, allowed := range k.oneOf {
			if v.String() == allowed {
				return nil
			}
		}
		return fmt.Errorf("%q is not one of %s", v.String(), strings.Join(k.oneOf, ", "))
	}
	if k.least == "" {
		return nil
	}
	least, most := reflect.New(v.Type()).Elem(), reflect.New(v.Type()).Elem()
	if err := cmp.Or(set(least, k.least), set(most, k.most)); err != nil {
		return fmt.Errorf("range %s..%s: %w", k.least, k.most, err)
	}
	if outside(v, least, most) {
		return fmt.Errorf("%s is outside %s to %s", text(v), k.least, k.most)
	}
	return nil
}

func outside(v, least, most reflect.Value) bool {
	if v.CanFloat() {
		return !(v.Float() >= least.Float() && v.Float() <= most.Float()) // NaN is outside too
	}
	return v.Int() < least.Int() || v.Int() > most.Int()
}

// set reads a value as people write it. A list is written with commas; an empty
// text is an empty list.
func set(v reflect.Value, written string) error {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = written
	case *[]string:
		*p = splitList(written)
	case *bool:
		return assign(p, written, parseBool, "is neither true nor false")
	case *int:
		return assign(p, written, strconv.Atoi, "is not a whole number")
	case *float64:
		return assign(p, written, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }, `is not a number such as "0.01"`)
	case *time.Duration:
		return assign(p, written, time.ParseDuration, `is not a duration such as "10s" or "250ms"`)
	case *Size:
		return assign(p, written, parseSize, `is not a size such as 65536, "64KiB" or "1MiB"`)
	default:
		return fmt.Errorf("a setting cannot be a %s", v.Type())
	}
	return nil
}

func assign[T any](p *T, written string, parse func(string) (T, error), wrong string) error {
	value, err := parse(written)
	if err != nil {
		return fmt.Errorf("%q %s", written, wrong)
	}
	*p = value
	return nil
}

func parseBool(written string) (bool, error) {
	if written != "true" && written != "false" {
		return false, errors.New("not a truth value")
	}
	return written == "true", nil
}

func splitList(written string) []string {
	var list []string
	for item := range strings.SplitSeq(written, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// text is the reverse of set.
func text(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case []string:
		return strings.Join(value, ",")
	case time.Duration:
		s := value.String() // "1m0s" is nobody's way of writing a minute
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		return s
	default:
		return fmt.Sprint(value)
	}
}

// Size is a number of bytes, written as an integer or with KiB or MiB.
type Size int

const (
	kibibyte Size = 1 << 10
	mebibyte Size = 1 << 20
)

var errSize = errors.New("not a size")

// parseSize reads a size as it is written in the configuration.
func parseSize(written string) (Size, error) {
	digits, unit := written, Size(1)
	if d, ok := strings.CutSuffix(written, "KiB"); ok {
		digits, unit = d, kibibyte
	} else if d, ok := strings.CutSuffix(written, "MiB"); ok {
		digits, unit = d, mebibyte
	}
	n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 40) // a million MiB, and no overflow
	if err != nil {
		return 0, errSize
	}
	return Size(n) * unit, nil
}

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	switch {
	case s != 0 && s%mebibyte == 0:
		return strconv.Itoa(int(s/mebibyte)) + "MiB"
	case s != 0 && s%kibibyte == 0:
		return strconv.Itoa(int(s/kibibyte)) + "KiB"
	}
	return strconv.Itoa(int(s))
}
