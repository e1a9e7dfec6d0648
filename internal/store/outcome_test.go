package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// wire stands between a store and MySQL and is cut at a statement.
type wire struct {
	t        *testing.T
	listener net.Listener
	server   string
	at       string // the statement at which it is cut
	through  bool   // the statement still reaches the server, only its answer is lost
	sharp    atomic.Bool
}

func newWire(t *testing.T, o store.Options, at string, through bool) (*wire, store.Options) {
	t.Helper()
	config, err := mysql.ParseDSN(o.DSN)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &wire{t: t, listener: l, server: config.Addr, at: at, through: through}
	config.Addr = l.Addr().String()
	o.DSN, o.MaxOpenConns = config.FormatDSN(), 2
	go w.accept()
	return w, o
}

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(context.WithoutCancel(w.t.Context()), "tcp", w.server)
		if err != nil {
			_ = client.Close()
			return
		}
		answers := make(chan bool, 1) // true: let the next answer be lost
		go w.answer(client, server, answers)
		go w.ask(client, server, answers)
	}
}

// ask carries what the store says. A packet of one statement comes in one piece.
func (w *wire) ask(client, server net.Conn, lose chan<- bool) {
	defer server.Close()
	packet := make([]byte, 1<<16)
	for {
		n, err := client.Read(packet)
		if err != nil {
			return
		}
		if w.sharp.Load() && bytes.Contains(packet[:n], []byte(w.at)) {
			if !w.through {
				_ = client.Close()
				return
			}
			lose <- true
		}
		if _, err := server.Write(packet[:n]); err != nil {
			return
		}
	}
}

func (w *wire) answer(client, server net.Conn, lose <-chan bool) {
	defer client.Close()
	packet := make([]byte, 1<<16)
	for {
		n, err := server.Read(packet)
		if err != nil {
			return
		}
		select {
		case <-lose:
			return
		default:
		}
		if _, err := client.Write(packet[:n]); err != nil && !errors.Is(err, io.EOF) {
			return
		}
	}
}

// TestCommit_outcome: when the way to the database breaks before COMMIT, the
// change was not made; when it breaks at COMMIT, the error says that nobody can
// know, and how to find out.
func TestCommit_outcome(t *testing.T) {
	for name, c := range map[string]struct {
		at            string
		through       bool
		unknown, made bool
	}{
		"before the commit":               {"INSERT INTO `revision`", false, false, false},
		"the answer to a statement":       {"INSERT INTO `revision`", true, false, false},
		"the commit itself":               {"COMMIT", false, true, false},
		"the answer to the commit":        {"COMMIT", true, true, true},
		"nothing, to see that it carries": {"", false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := databases["mysql"](t)
			beside := accesstest.OpenStore(t, o)
			before := load(t, beside, access.DefaultTenant)
			w, through := newWire(t, o, c.at, c.through)
			s, err := store.Open(t.Context(), through)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			w.sharp.Store(c.at != "")
			_, err = s.Apply(t.Context(), accesstest.StorePolicy(access.DefaultTenant), any1)
			if (err == nil) != (c.at == "") || err != nil && !errors.Is(err, access.ErrUnavailable) {
				t.Fatalf("applied with error %v", err)
			}
			if got := errors.Is(err, access.ErrOutcomeUnknown); got != c.unknown {
				t.Errorf("the error %v says the outcome is unknown: %t", err, got)
			}
			if c.unknown && !strings.Contains(err.Error(), "read whether revision 2 is there") {
				t.Errorf("the error %v does not say how to find out", err)
			}
			w.sharp.Store(false)
			after := load(t, beside, access.DefaultTenant)
			if made := after.Revision > before.Revision; made != c.made {
				t.Errorf("revision %d after %d (%v)", after.Revision, before.Revision, err)
			}
			verify(t, beside, access.DefaultTenant)
		})
	}
}
