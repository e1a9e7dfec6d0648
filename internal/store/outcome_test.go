package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// TestCommit_once: whoever was not told whether his change was made sends it
// again with the same key: it is made once, and he gets the answer that he
// lacks. Without the key it is made twice.
func TestCommit_once(t *testing.T) {
	for name, c := range map[string]struct{ through, again bool }{
		"the commit is lost":                {false, false},
		"the answer to the commit is lost":  {true, true},
		"a twin of another body is refused": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := databases["mysql"](t)
			beside := accesstest.OpenStore(t, o)
			w, cut := newWire(t, o, "COMMIT", c.through)
			s, err := store.Open(t.Context(), cut)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			before := load(t, beside, access.DefaultTenant).Revision
			made := 0
			once := func(request byte) *access.Once {
				return &access.Once{ID: [32]byte{1}, Request: [32]byte{request}, Settle: func(_ any, at access.Revision) (access.Answer, error) {
					return access.Answer{Status: 201, Tag: "t", Body: fmt.Appendf(nil, "made %d", at)}, nil
				}}
			}
			attempt := func(s *store.Store, once *access.Once) error {
				change := any1
				change.Once = once
				_, err := s.Edit(t.Context(), access.DefaultTenant, change, func(d access.Draft) error {
					made++
					d.PutUser(access.User{ID: fmt.Sprint("u", made), Name: "U"})
					return nil
				}, nil)
				return err
			}
			w.sharp.Store(true)
			if err := attempt(s, once(1)); !errors.Is(err, access.ErrOutcomeUnknown) && (c.through || !errors.Is(err, access.ErrUnavailable)) {
				t.Fatalf("the first attempt ends in %v", err)
			}
			w.sharp.Store(false)
			request := byte(1)
			if strings.Contains(name, "another body") {
				request = 2
			}
			for range 2 {
				err = attempt(beside, once(request))
			}
			var repeated *access.Repeated
			switch {
			case request == 2:
				if !errors.Is(err, access.ErrReused) {
					t.Errorf("another request with the key ends in %v", err)
				}
			case !errors.As(err, &repeated) || repeated.Revision != before+1 || repeated.Answer.Status != 201 ||
				repeated.Answer.Tag != "t" || string(repeated.Answer.Body) != fmt.Sprint("made ", before+1):
				t.Errorf("the change again ends in %v, %+v", err, repeated)
			}
			if wanted := map[bool]int{true: 1, false: 2}[c.through]; made != wanted {
				t.Errorf("it was made %d times", made)
			}
			if after := load(t, beside, access.DefaultTenant).Revision; after != before+1 {
				t.Errorf("revision %d after %d", after, before)
			}
			verify(t, beside, access.DefaultTenant)
		})
	}
}

// TestAttempt_bounds: of one caller only so many answers are kept, the newest;
// one that is too long is kept as having been given.
func TestAttempt_bounds(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			o := open(t)
			s := accesstest.OpenStore(t, o)
			n := 0
			attempt := func(id byte, size int) error {
				n++
				change := any1
				change.Once = &access.Once{ID: [32]byte{id}, Caller: [32]byte{7}, Settle: func(any, access.Revision) (access.Answer, error) {
					return access.Answer{Status: 200, Body: make([]byte, size)}, nil
				}}
				_, err := s.Edit(t.Context(), access.DefaultTenant, change, func(d access.Draft) error {
					d.PutUser(access.User{ID: fmt.Sprint("u", n), Name: "U"})
					return nil
				}, nil)
				return err
			}
			for size, status := range map[int]int{1 << 20: 200, 1<<20 + 1: 0} {
				id := byte(100 + status%100 + size%2)
				if err := attempt(id, size); err != nil {
					t.Fatal(err)
				}
				var repeated *access.Repeated
				if err := attempt(id, size); !errors.As(err, &repeated) || repeated.Answer.Status != status {
					t.Errorf("an answer of %d bytes: %v, %+v", size, err, repeated)
				}
			}
			if err := attempt(1, 1); err != nil {
				t.Fatal(err)
			}
			db := beside(t, o)
			random := map[string]string{store.SQLite: "randomblob(32)", store.MySQL: "UNHEX(SHA2(UUID(), 256))"}[o.Driver]
			fill := "INSERT INTO attempt (id, caller, request, made_at, revision, status, etag, answer) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT " + random + ", a.caller, a.request, a.made_at + 1, 1, 200, '', x'78' FROM n, (SELECT caller, request, MAX(made_at) AS made_at FROM attempt GROUP BY caller, request) a"
			for range 20 {
				execute(t, db, fill)
			}
			if err := attempt(2, 1); err != nil {
				t.Fatal(err)
			}
			if err := attempt(1, 1); err != nil {
				t.Errorf("what is beyond the bound is still kept: %v", err)
			}
			if got := strings.Join(lines(t, o, "SELECT COUNT(*) <= 10000 FROM attempt"), ""); got != "1" {
				t.Errorf("kept within the bound: %s", got)
			}
		})
	}
}
