package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun measures for moments only: what it shows is that every figure is
// taken and stands in the table.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	var out bytes.Buffer
	args := []string{"-rules", "110", "-for", "20ms", "-rounds", "1", "-connections", "2", "-json", file}
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 5 || r.Machine.Cores == 0 || r.Machine.CPU == "" {
		t.Fatalf("the report is not whole: %s", text)
	}
	for _, row := range r.Rows {
		if row.Ours <= 0 || row.Theirs <= 0 || row.Ratio <= 0 {
			t.Errorf("%s: a figure is missing: %+v", row.What, row)
		}
		if !strings.Contains(out.String(), row.What) {
			t.Errorf("%s is not in the table", row.What)
		}
	}
}

// TestCompare: a ratio above 1 always means that ours is better.
func TestCompare(t *testing.T) {
	if r := compare("time", 1, "ns", 10, "other", 30).Ratio; r != 3 {
		t.Errorf("a third of the time is %v times as good, want 3", r)
	}
	if r := compare("throughput", 1, "/s", 30, "other", 10).Ratio; r != 3 {
		t.Errorf("three times the throughput is %v times as good, want 3", r)
	}
}

func TestAnswer(t *testing.T) {
	for name, c := range map[string]struct{ wire, body, err string }{
		"length":      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", ""},
		"chunks":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "ok", ""},
		"not 200":     {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "", "401"},
		"no length":   {"HTTP/1.1 200 OK\r\n\r\n", "", "not an answer"},
		"too long":    {"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", "", "Content-Length"},
		"cut short":   {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "", "EOF"},
		"long chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", "", "chunk"},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := answer(bufio.NewReader(strings.NewReader(c.wire)), make([]byte, 0, 64))
			if string(body) != c.body && c.err == "" {
				t.Errorf("got %q, want %q", body, c.body)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want one with %q", err, c.err)
			}
		})
	}
}

func TestThousands(t *testing.T) {
	for v, want := range map[float64]string{7: "7", 999: "999", 1000: "1,000", 110_000: "110,000", 1_234_567: "1,234,567"} {
		if got := thousands(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
