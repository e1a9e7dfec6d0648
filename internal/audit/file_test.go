package audit_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/audit"
)

func openFile(t *testing.T, o audit.FileOptions) *audit.File {
	t.Helper()
	f, err := audit.OpenFile(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// readAll gives the answers in a file, and the number of lines that are none.
func readAll(t *testing.T, path string) (all []access.Recorded, broken int) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r access.Recorded
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			broken++
			continue
		}
		all = append(all, r)
	}
	return all, broken
}

func TestFile_isPrivateAndWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.ndjson")
	f := openFile(t, audit.FileOptions{Path: path, Sync: true})
	for range 3 {
		if err := f.Write(t.Context(), append(answer("1"), answer("2")...)); err != nil {
			t.Fatal(err)
		}
	}
	if got, broken := readAll(t, path); len(got) != 6 || broken != 0 || got[1].Request.Subject.ID != "2" {
		t.Errorf("%d lines, %d broken", len(got), broken)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestFile_endsACutLine: a line that a crash has cut short spoils no other.
func TestFile_endsACutLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.ndjson")
	if err := os.WriteFile(path, []byte(`{"id":"cut sho`), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, audit.FileOptions{Path: path})
	if err := f.Write(t.Context(), answer("1")); err != nil {
		t.Fatal(err)
	}
	if got, broken := readAll(t, path); len(got) != 1 || broken != 1 {
		t.Errorf("%d lines, %d broken", len(got), broken)
	}
}

func TestFile_turns(t *testing.T) {
	now := noon
	path := filepath.Join(t.TempDir(), "a[b]*.ndjson")
	f := openFile(t, audit.FileOptions{Path: path, MaxBytes: 600, MaxAge: time.Hour, Keep: 3, Clock: func() time.Time { now = now.Add(time.Second); return now }})
	for range 20 {
		if err := f.Write(t.Context(), answer("1")); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 4 {
		t.Fatalf("three put aside and one that is written to: %v, %v", files, err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil || info.Size() > 600 || info.Size() == 0 {
			t.Errorf("%s has %d bytes, %v", file.Name(), info.Size(), err)
		}
		if _, broken := readAll(t, filepath.Join(filepath.Dir(path), file.Name())); broken != 0 {
			t.Errorf("%s: %d lines are broken", file.Name(), broken)
		}
	}
	if err := f.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := readAll(t, path); len(got) == 0 {
		t.Error("a file that is not old was put aside")
	}
	now = now.Add(2 * time.Hour)
	if err := f.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := readAll(t, path); len(got) != 0 {
		t.Error("a file that is too old is written to")
	}
}

// TestFile_failsWhole: what cannot be written is an error, and comes back to life.
func TestFile_failsWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if _, err := audit.OpenFile(audit.FileOptions{Path: filepath.Join(dir, "x")}); err == nil {
		t.Fatal("a file in a folder that is not there was opened")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, audit.FileOptions{Path: filepath.Join(dir, "x"), MaxBytes: 1})
	if err := f.Write(t.Context(), answer("1")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), answer("2")); err == nil {
		t.Error("it was put aside where there is no folder")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), answer("3")); err != nil {
		t.Errorf("when there is a folder again: %v", err)
	}
	if got, _ := readAll(t, filepath.Join(dir, "x")); len(got) != 1 || !strings.HasPrefix(got[0].Request.Subject.ID, "3") {
		t.Errorf("%+v", got)
	}
}

// TestStream_oddValues: an answer that JSON cannot hold is written without what
// it was asked with, and the others as they are.
func TestStream_oddValues(t *testing.T) {
	var out strings.Builder
	odd := answer("1")
	odd[0].Request.Context = map[string]any{"x": func() {}}
	if err := (audit.Stream{To: &out}).Write(t.Context(), append(odd, answer("2")...)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var first access.Recorded
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || len(lines) != 2 || first.Replayable() {
		t.Errorf("%q, %v", lines, err)
	}
}
