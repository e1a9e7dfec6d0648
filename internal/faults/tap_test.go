package faults_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// tap stands between a replica and MySQL and reads the statements, so that the
// replica can be killed between any two of a transaction.
type tap struct {
	t testing.TB

	mu      sync.Mutex
	victim  *replica
	at      int  // kill at this statement of a transaction; at COMMIT when 0
	through bool // and let it through before
	longest int  // statements of a transaction so far
	killed  map[string]int
}

func newTap(t testing.TB) *tap {
	t.Helper()
	return &tap{t: t, killed: map[string]int{}}
}

// to gives an address that leads to another.
func (p *tap) to(address string) string {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go p.pass(from, address)
		}
	}()
	return l.Addr().String()
}

// arm has the replica killed at some statement of a transaction that writes.
func (p *tap) arm(r *replica) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.victim, p.at, p.through = r, 1+rand.IntN(max(p.longest, 1)), rand.IntN(2) == 0
	if rand.IntN(3) == 0 {
		p.at = 0
	}
	if p.through {
		return "after a statement"
	}
	return "before a statement"
}

// pass carries one connection.
func (p *tap) pass(from net.Conn, address string) {
	defer from.Close()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
	in, head, nth := bufio.NewReader(from), make([]byte, 4), 0
	for {
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		packet := make([]byte, 4+int(binary.LittleEndian.Uint32([]byte{head[0], head[1], head[2], 0})))
		copy(packet, head)
		if _, err := io.ReadFull(in, packet[4:]); err != nil {
			return
		}
		if statement := statementOf(packet); statement == "START TRANSACTION" {
			nth = 1
		} else if statement != "" && nth > 0 {
			nth++
		}
		if p.kills(nth, packet, to) {
			return
		}
		if statement := statementOf(packet); statement == "COMMIT" || statement == "ROLLBACK" {
			nth = 0
		}
		if _, err := to.Write(packet); err != nil {
			return
		}
	}
}

// kills tells whether this was the statement to kill at.
func (p *tap) kills(nth int, packet []byte, to io.Writer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longest = max(p.longest, nth)
	if p.victim == nil || nth == 0 || nth != p.at && (p.at > 0 || statementOf(packet) != "COMMIT") {
		return false
	}
	if p.through {
		_, _ = to.Write(packet)
	}
	p.victim.signal(syscall.SIGKILL)
	p.victim = nil
	words := strings.Fields(statementOf(packet))
	p.killed[strings.Join(words[:min(3, len(words))], " ")]++
	return true
}

// statementOf gives the text of a query, or the number of a prepared statement.
func statementOf(packet []byte) string {
	const query, execute = 3, 0x17
	switch {
	case len(packet) < 5 || packet[3] != 0: // no command, but the handshake or the rest of a long packet
		return ""
	case packet[4] == query:
		return string(packet[5:])
	case packet[4] == execute:
		return "prepared statement"
	}
	return ""
}
