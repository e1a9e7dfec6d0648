package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// load is a closed loop: every connection sends the same request again as soon
// as its answer was read. The client writes ready-made bytes and reads no more
// of an answer than it must, so that the server is what is measured.
type load struct {
	addrs       []string // connections go to them in turns
	requests    [][]byte // headers and body; each connection sends one of them
	mustHold    []byte   // in the body of every answer
	connections int
}

// request writes an HTTP/1.1 request once and for all.
func request(path, key string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n", path, key)
	fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
	b.Write(body)
	return b.Bytes()
}

// run asks for the given time and gives the number of answers a second.
func (l load) run(ctx context.Context, d time.Duration) (float64, error) {
	conns, err := l.dial(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	counts := make([]int, len(conns))
	errs := make([]error, len(conns))
	start := time.Now()
	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() { counts[i], errs[i] = l.loop(ctx, conn, l.requests[i%len(l.requests)]) })
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(start).Seconds(), errors.Join(errs...)
}

func (l load) dial(ctx context.Context) ([]net.Conn, error) {
	conns := make([]net.Conn, l.connections)
	for i := range conns {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.addrs[i%len(l.addrs)])
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		conns[i] = conn
	}
	return conns, nil
}

func (l load) loop(ctx context.Context, conn net.Conn, request []byte) (n int, err error) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 16<<10)
	body := make([]byte, 0, 64<<10)
	for ctx.Err() == nil {
		if _, err := conn.Write(request); err != nil {
			return n, fmt.Errorf("ask: %w", err)
		}
		if body, err = answer(r, body[:0]); err != nil {
			return n, err
		}
		if !bytes.Contains(body, l.mustHold) {
			return n, fmt.Errorf("answer %q lacks %q", body, l.mustHold)
		}
		n++
	}
	return n, nil
}

var errAnswer = errors.New("not an answer the bench understands")

// answer reads one answer with status 200 and a Content-Length, or in chunks.
func answer(r *bufio.Reader, body []byte) ([]byte, error) {
	length, chunked := -1, false
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return nil, fmt.Errorf("%w: %s", errAnswer, line)
		case len(line) == 0 && chunked:
			return chunks(r, body)
		case len(line) == 0 && length < 0:
			return nil, errAnswer
		case len(line) == 0:
			body = body[:length]
			_, err := io.ReadFull(r, body)
			return body, err
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(v)); err != nil || length > cap(body) {
				return nil, fmt.Errorf("%w: Content-Length %s", errAnswer, v)
			}
		}
		chunked = chunked || bytes.Equal(line, []byte("Transfer-Encoding: chunked"))
	}
}

func chunks(r *bufio.Reader, body []byte) ([]byte, error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil || len(body)+int(n)+2 > cap(body) {
			return nil, fmt.Errorf("%w: chunk %q", errAnswer, line)
		}
		from := len(body)
		body = body[:from+int(n)+2]
		if _, err := io.ReadFull(r, body[from:]); err != nil {
			return nil, err
		}
		body = body[:len(body)-2]
		if n == 0 {
			return body, nil
		}
	}
}
