package main

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/bailiwick/bailiwick/internal/config"
)

// TestLimitMemory: the collector keeps to 90 percent of what the container may
// use, but for those who have said otherwise or have no limit.
func TestLimitMemory(t *testing.T) {
	const container = 2 << 30
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	for name, c := range map[string]struct {
		setting, variable string
		limit             func() (uint64, error)
		want              int64
	}{
		"a limit":               {"auto", "", memlimit.Limit(container), container / 10 * 9},
		"a limit, switched off": {"off", "", memlimit.Limit(container), math.MaxInt64},
		"GOMEMLIMIT":            {"auto", "1GiB", memlimit.Limit(container), math.MaxInt64},
		"no limit":              {"auto", "", func() (uint64, error) { return 0, memlimit.ErrNoLimit }, math.MaxInt64},
		"not a container":       {"auto", "", func() (uint64, error) { return 0, errors.New("there is no cgroup") }, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			debug.SetMemoryLimit(math.MaxInt64)
			t.Setenv("AUTOMEMLIMIT", "")
			t.Setenv("GOMEMLIMIT", c.variable)
			if c.variable == "" {
				unset(t, "GOMEMLIMIT")
			}
			unset(t, "AUTOMEMLIMIT")
			var said bytes.Buffer
			limitMemory(config.Server{MemoryLimit: c.setting}, slog.New(slog.NewTextHandler(&said, nil)), memlimit.WithProvider(c.limit))
			if got := debug.SetMemoryLimit(-1); got/1000 != c.want/1000 {
				t.Errorf("the limit is %d, want %d", got, c.want)
			}
			if strings.Contains(said.String(), "memory is limited") != (c.want != math.MaxInt64) {
				t.Errorf("the log says %q", said.String())
			}
		})
	}
}

// unset takes a variable away that t.Setenv will put back.
func unset(t *testing.T, name string) {
	t.Helper()
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}
