package main

import (
	"os"
	"slices"
	"testing"
	"testing/fstest"
)

func TestTable_isCurrent(t *testing.T) {
	want, err := table(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tests say now; run go generate ./scripts/requirements", page)
	}
}

// Every requirement is shown by a test, or says why it is left out, and not both.
func TestTable_isWhole(t *testing.T) {
	areas, err := read()
	if err != nil {
		t.Fatal(err)
	}
	found, err := tests(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	next := 1
	for _, a := range areas {
		for _, n := range numbers(a) {
			if n != next {
				t.Fatalf("requirement %d follows %d", n, next-1)
			}
			next++
			switch left := a.Requirements[n].Left != ""; {
			case !left && len(found[n]) == 0:
				t.Errorf("requirement %d is shown by no test: %s", n, a.Requirements[n].Text)
			case left && len(found[n]) > 0:
				t.Errorf("requirement %d is left out, and %v shows it", n, found[n])
			}
		}
	}
	for n := range found {
		if n >= next {
			t.Errorf("there is no requirement %d, and %v shows it", n, found[n])
		}
	}
}

func TestTests(t *testing.T) {
	got, err := tests(fstest.MapFS{
		"a/x_test.go":                           {Data: []byte("package a\n\n// Req 1, 3-5 and 7.\nfunc TestA(t *testing.T) {\n\t_ = \"Req 9\"\n}\n\n// Req 2: later\nvar x = 1\n\nfunc TestB(t *testing.T) {\n}\n")},
		"a/x.go":                                {Data: []byte("package a // Req 8\n")},
		"cmd/bailiwick/testdata/script/s.txtar": {Data: []byte("# Req 10\nexec true\n")},
		"policies/p/tests/t.yaml":               {Data: []byte("tests:\n  - name: x\n    shows: [11, 12]\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{
		1: "`a`.TestA", 3: "`a`.TestA", 4: "`a`.TestA", 5: "`a`.TestA", 7: "`a`.TestA", 9: "`a`.TestA", 2: "`a`.TestB",
		10: "`script/s.txtar`", 11: "`policies/p/tests/t.yaml`", 12: "`policies/p/tests/t.yaml`",
	}
	for n, test := range want {
		if !slices.Equal(got[n], []string{test}) {
			t.Errorf("requirement %d is shown by %v, want %s", n, got[n], test)
		}
	}
	if len(got) != len(want) {
		t.Errorf("found %v", got)
	}
}
