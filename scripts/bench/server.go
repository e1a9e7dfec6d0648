package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bailiwick/bailiwick/internal/store"
)

// program builds the server once, as it is delivered.
func (b *bench) program(ctx context.Context) (string, error) {
	path := filepath.Join(b.dir, "bailiwick")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	say("building the server")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/bailiwick/bailiwick/cmd/bailiwick") //nolint:gosec // our own folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return path, cmd.Run()
}

// process is a server that was started.
type process struct {
	addr  string        // host:port
	ready time.Duration // from its start to the first line it wrote
	cmd   *exec.Cmd
}

// begin starts a command whose first line on standard output says where it
// listens.
func begin(cmd *exec.Cmd, where func(line []byte) (string, error)) (*process, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	p.ready = time.Since(began)
	if err == nil {
		p.addr, err = where(line)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s did not start: %w", filepath.Base(cmd.Path), err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait() // it was told to stop
}

// serve starts `bailiwick serve` over a database, with settings as environment.
func (b *bench) serve(ctx context.Context, d *database, settings ...string) (*process, error) {
	program, err := b.program(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "serve", "--allow-empty", "-o", "json") //nolint:gosec // what we have just built
	cmd.Dir = b.dir                                                                  // no settings of whoever runs this
	cmd.Env = append(os.Environ(), "BAILIWICK_SERVER_LISTEN=127.0.0.1:0", "BAILIWICK_STORE_DRIVER="+d.driver, "BAILIWICK_STORE_DSN="+d.dsn,
		"BAILIWICK_LIMITS_RULES=10000000", "BAILIWICK_LOG_LEVEL=error", "BAILIWICK_STORE_STALE_AFTER=5m") // a slow machine may load for longer than 10 s
	cmd.Env = append(cmd.Env, settings...)
	var said bytes.Buffer
	cmd.Stderr = &said
	p, err := begin(cmd, func(line []byte) (string, error) {
		var ready struct{ URL string }
		if err := json.Unmarshal(line, &ready); err != nil {
			return "", err
		}
		u, err := url.Parse(ready.URL)
		if err != nil {
			return "", err
		}
		return u.Host, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return p, nil
}

// serveGin starts the reference: a gin handler that answers a constant, or with
// rules that asks stock Casbin.
func serveGin(ctx context.Context, rules int) (*process, error) {
	return begin(child(ctx, "gin", strconv.Itoa(rules)), func(line []byte) (string, error) {
		return strings.TrimSpace(string(line)), nil
	})
}

// redisSettings turn a server's cache on; nil where there is no Redis.
func redisSettings(d *database) []string {
	addr := os.Getenv(redisVariable)
	if addr == "" {
		return nil
	}
	return []string{
		"BAILIWICK_CACHE_REDIS_ADDRESSES=" + addr, "BAILIWICK_CACHE_REDIS_SECRET=" + strings.Repeat("bench", 8),
		"BAILIWICK_CACHE_REDIS_PREFIX=" + filepath.Base(d.dsn) + ":",
	}
}

const coldStart = "cold start to ready, "

// startup fills a database with rules and measures a server's way from nothing
// to ready, beside stock Casbin's with gorm-adapter on the same tables.
func (b *bench) startup(ctx context.Context) error {
	for _, driver := range drivers() {
		if err := b.startupOf(ctx, driver); err != nil {
			return fmt.Errorf("%s: %w", named(driver), err)
		}
	}
	return nil
}

func (b *bench) startupOf(ctx context.Context, driver string) error {
	d, remove, rules, err := b.filled(ctx, driver, b.start)
	if err != nil {
		return err
	}
	defer remove()
	if driver == store.SQLite { // it is there, so ask it over HTTP too
		if err := b.overHTTP(ctx, d, b.start); err != nil {
			return err
		}
	}
	say("%s: cold start with %s rules", named(driver), thousands(float64(rules)))
	f := figure{Group: "start", What: coldStart + named(driver), Size: rules, Of: "rules", Unit: "ns"}
	var took []float64
	for range max(1, b.rounds/2) {
		p, err := b.serve(ctx, d)
		if err != nil {
			return err
		}
		p.stop()
		took = append(took, float64(p.ready))
	}
	f.Ours = median(took)
	if b.stock > 0 {
		p, err := begin(child(ctx, "adapter", d.driver, d.dsn), func([]byte) (string, error) { return "", nil })
		if err != nil {
			return err
		}
		p.stop()
		f.Beside, f.Theirs = "stock Casbin, gorm-adapter", float64(p.ready)
	}
	b.report.add(f)
	return nil
}
