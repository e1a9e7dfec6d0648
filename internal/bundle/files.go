package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The limits of what is read, in bytes. A bundle is written by people; what is
// larger is a mistake or an attack.
const (
	MaxFile   = 1 << 20  // one file
	MaxBundle = 16 << 20 // all files of a bundle together
)

// The files at the top of a bundle that have names of their own.
const (
	bundleName     = "bundle.yaml"
	guaranteesName = "guarantees.yaml"
	modelName      = "model.conf"
)

// kind is one kind of YAML file.
type kind struct {
	name string
	make func() any // a pointer to its struct of kinds.go
}

// part is a file that adds something to the policy.
type part interface{ into(p *access.Policy) }

// kinds by the folder that holds them, or by their own names where they stand at
// the top of a bundle.
var kinds = map[string]kind{
	bundleName:     {"Bundle", func() any { return &bundleFile{} }},
	guaranteesName: {"Guarantees", func() any { return &guaranteesFile{} }},

	"catalogue": {"Application", func() any { return &applicationFile{} }},
	"roles":     {"Role", func() any { return &roleFile{} }},
	"groups":    {"Group", func() any { return &groupFile{} }},
	"users":     {"Users", func() any { return &usersFile{} }},
	"tests":     {"Tests", func() any { return &testsFile{} }},
}

func folders() []string {
	var names []string
	for name := range kinds {
		if path.Ext(name) == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// reader collects what the files of one bundle say.
type reader struct {
	fsys      fs.FS
	modelOf   func(string) (string, access.Combining, error)
	condition func(string) error
	problems  access.Problems
	policy    access.Policy
	tests     []*testsFile
	size      int
	questions int
}

func (r *reader) add(at access.Origin, code, format string, args ...any) *access.Problem {
	r.problems = append(r.problems, access.Problem{Origin: at, Code: code, Message: fmt.Sprintf(format, args...)})
	return &r.problems[len(r.problems)-1]
}

// files reads everything at the top of the bundle and in its folders. fs.ReadDir
// sorts by name, which makes the order of the policy.
func (r *reader) files() error {
	r.policy.Origin = access.Origin{File: bundleName}
	entries, err := fs.ReadDir(r.fsys, ".")
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == bundleName }) {
		r.add(access.Origin{File: bundleName}, "bundle-missing", "there is no %s here", bundleName)
	}
	for _, e := range entries {
		if err := r.top(e.Name()); err != nil {
			return err
		}
	}
	r.byCode()
	return nil
}

// ignored names belong to people and tools.
func ignored(name string) bool {
	return name == "README.md" || strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".")
}

// Names lists the files that belong to a bundle: those that are read, and those
// that would be mistakes. A link may lead to a file, or at the top to a folder.
func Names(fsys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(fsys, ".")
	var names []string
	for _, e := range entries {
		err = errors.Join(err, fs.WalkDir(fsys, e.Name(), func(name string, d fs.DirEntry, err error) error {
			switch {
			case ignored(path.Base(name)) && d != nil && d.IsDir():
				return fs.SkipDir
			case ignored(path.Base(name)):
			case d == nil || !d.IsDir(): // what cannot be read is said by whoever reads it
				names = append(names, name)
			case err != nil:
				return err
			}
			return nil
		}))
	}
	return names, err
}

// Texts gives what stands in files of a bundle. The error is of type
// access.Problems where some of them cannot be read, or are no text.
func Texts(fsys fs.FS, names []string) (map[string]string, error) {
	r, files := &reader{fsys: fsys}, map[string]string{}
	for _, name := range names {
		if text, ok := r.load(name); ok {
			files[name] = string(text)
		}
	}
	return files, r.problems.Err()
}

func (r *reader) top(name string) error {
	if ignored(name) {
		return nil
	}
	info, err := fs.Stat(r.fsys, name)
	if err != nil {
		r.unreadable(name, err)
		return nil
	}
	if info.IsDir() {
		return r.folder(name)
	}
	switch {
	case name == bundleName || name == guaranteesName:
		r.yaml(name, kinds[name])
	case name == modelName:
		r.model(name)
	case path.Ext(name) == ".csv":
		r.csv(name)
	default:
		r.unknownFile(name, append(folders(), bundleName, guaranteesName, modelName))
	}
	return nil
}

func (r *reader) isFolder(name string) bool {
	info, err := fs.Stat(r.fsys, name)
	return err == nil && info.IsDir()
}

// unreadable says why a file cannot be read. What a link to a file elsewhere leads
// to would otherwise be shown in mistakes, and sent to servers, by whoever checks
// the files of somebody else.
func (r *reader) unreadable(name string, err error) {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	p := r.add(access.Origin{File: name}, "file-unreadable", "the file cannot be read: %s", err)
	if info, err := fs.Lstat(r.fsys, name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		p.Hint = "it is a link, which may lead to a file of the same bundle only"
	}
}

// unknownFile: a misspelt name would otherwise silently take its file out of
// the policy.
func (r *reader) unknownFile(name string, known []string) {
	problem := r.add(access.Origin{File: name}, "file-unknown", "a bundle has no such file")
	problem.Hint = "names beginning with _ or . are left alone"
	if near := access.Nearest(path.Base(name), known); near != "" {
		problem.Hint = didYouMean(near)
	}
}

func (r *reader) folder(dir string) error {
	k, ok := kinds[dir]
	if !ok {
		r.unknownFile(dir, folders())
		return nil
	}
	entries, err := fs.ReadDir(r.fsys, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch stem, ext, _ := strings.Cut(e.Name(), "."); {
		case ignored(e.Name()):
		case ext == "yaml" && !r.isFolder(name):
			r.yaml(name, k)
		default:
			r.unknownFile(name, []string{stem + ".yaml"})
		}
	}
	return nil
}

// load gives the bytes of a file that is text and not too large.
func (r *reader) load(name string) ([]byte, bool) {
	src, err := read(r.fsys, name)
	at := access.Origin{File: name}
	switch r.size += len(src); {
	case err != nil:
		r.unreadable(name, err)
	case len(src) > MaxFile:
		r.add(at, "file-too-large", "the file is larger than %d bytes", MaxFile)
	case r.size > MaxBundle && r.size-len(src) <= MaxBundle: // said once
		r.add(at, "bundle-too-large", "with this file the bundle is larger than %d bytes", MaxBundle)
	case r.size > MaxBundle:
	default:
		problems := notText(name, src)
		r.problems = append(r.problems, problems...)
		return src, len(problems) == 0
	}
	return nil, false
}

// read gives the bytes of a file, one more than there may be at most. It is looked
// at before it is opened: to open a pipe is to wait for somebody who writes to it.
func read(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}

// notText refuses bytes that different readers would take for different text.
func notText(name string, src []byte) access.Problems {
	at := access.Origin{File: name, Line: 1, Column: 1}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) {
		return access.Problems{{Origin: at, Code: "file-encoding", Message: "the file begins with a byte order mark; save it as UTF-8 without one"}}
	}
	for i, line := range bytes.Split(src, []byte("\n")) {
		if utf8.Valid(line) {
			continue
		}
		at.Line, at.Column = i+1, 1
		for r, size := utf8.DecodeRune(line); r != utf8.RuneError || size != 1; r, size = utf8.DecodeRune(line) {
			line, at.Column = line[size:], at.Column+1
		}
		return access.Problems{{Origin: at, Code: "file-encoding", Message: "the file is not valid UTF-8 here"}}
	}
	return nil
}

func (r *reader) yaml(name string, k kind) {
	src, ok := r.load(name)
	var f any
	if ok {
		f, ok = r.decoded(name, src, k)
	}
	if !ok {
		f = k.make()
	}
	// A file that could not be read still stands for its code: what refers to
	// it is not wrong as well.
	r.code(name, f)
	switch f := f.(type) {
	case part:
		f.into(&r.policy)
	case *testsFile:
		if ok {
			r.tests = append(r.tests, f)
		}
	}
}

func (r *reader) decoded(name string, src []byte, k kind) (any, bool) {
	f, problems := decodeFile(name, src, k)
	r.problems = append(r.problems, problems...)
	return f, f != nil
}

// decodeFile decodes one YAML file. The file is nil where there is nothing to go on with.
func decodeFile(name string, src []byte, k kind) (any, access.Problems) {
	d := &decoder{file: name}
	root := d.parse(src)
	if root == nil || !d.kind(root, k) {
		return nil, d.problems
	}
	f := k.make()
	d.value("the file", root, reflect.ValueOf(f).Elem())
	return f, d.problems
}

// code makes sure that what a file describes is named like the file.
func (r *reader) code(name string, f any) {
	code, at := codeOf(f)
	stem := strings.TrimSuffix(path.Base(name), ".yaml")
	switch {
	case code == nil:
	case *code == "":
		*code, at.File = stem, name
	case *code != stem:
		r.add(*at, "file-name", "code %q stands in the file %s; the names must be the same", *code, path.Base(name)).
			Hint = fmt.Sprintf("name the file %s.yaml", *code)
	}
}

func codeOf(f any) (*string, *access.Origin) {
	switch f := f.(type) {
	case *applicationFile:
		return &f.Code, &f.Origin
	case *roleFile:
		return &f.Code, &f.Origin
	case *groupFile:
		return &f.Code, &f.Origin
	}
	return nil, nil
}

// byCode sorts what has a code by it: the names of files sort differently, for
// there "a-b.yaml" comes before "a.yaml".
func (r *reader) byCode() {
	slices.SortStableFunc(r.policy.Catalogue, func(a, b access.Application) int { return strings.Compare(a.Code, b.Code) })
	slices.SortStableFunc(r.policy.Roles, func(a, b access.Role) int { return strings.Compare(a.Code, b.Code) })
	slices.SortStableFunc(r.policy.Groups, func(a, b access.Group) int { return strings.Compare(a.Code, b.Code) })
}
