package faults_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// line is the network between one replica and one service.
type line struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

// lines runs no server: it is what proxies need to be made.
var lines = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())

func newLine(t testing.TB, to string) *line {
	t.Helper()
	l := &line{t: t, proxy: toxiproxy.NewProxy(lines, t.Name(), "127.0.0.1:0", to)}
	l.mend()
	t.Cleanup(l.proxy.Stop)
	return l
}

func (l *line) address() string { return l.proxy.Listen }

// cut ends all connections and refuses new ones.
func (l *line) cut() { l.proxy.Stop() }

// slow delays every packet of the service's answers.
func (l *line) slow(by, jitter time.Duration) {
	l.t.Helper()
	l.toxic("latency", "downstream", fmt.Sprintf(`"latency": %d, "jitter": %d`, by.Milliseconds(), jitter.Milliseconds()))
}

// drop lets connections stand and come about, and nothing pass.
func (l *line) drop() {
	l.t.Helper()
	l.toxic("timeout", "upstream", `"timeout": 0`)
	l.toxic("timeout", "downstream", `"timeout": 0`)
}

// deaf lets what the replica says pass, and drops the answers.
func (l *line) deaf() {
	l.t.Helper()
	l.toxic("timeout", "downstream", `"timeout": 0`)
}

// crumble cuts what passes into pieces of a few bytes.
func (l *line) crumble() {
	l.t.Helper()
	l.toxic("slicer", "downstream", `"average_size": 64, "size_variation": 32, "delay": 10`)
}

func (l *line) toxic(kind, direction, attributes string) {
	l.t.Helper()
	words := fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": {%s}}`, kind, direction, attributes)
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(words)); err != nil {
		l.t.Fatal(err)
	}
}

// lead takes the line to another service, as a balancer does when one is lost.
func (l *line) lead(to string) {
	l.t.Helper()
	l.cut()
	l.proxy.Lock()
	l.proxy.Upstream = to
	l.proxy.Unlock()
	l.mend()
}

// mend makes the line whole again.
func (l *line) mend() {
	l.t.Helper()
	l.proxy.Toxics.ResetToxics(context.Background())
	if l.proxy.Enabled {
		return
	}
	if err := l.proxy.Start(); err != nil {
		l.t.Fatal(err)
	}
}
