package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// redisConn is a bare connection to Redis: the reference for what goes through
// it.
type redisConn struct {
	net.Conn
	r *bufio.Reader
}

func dialRedis(ctx context.Context) (*redisConn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", os.Getenv(redisVariable))
	if err != nil {
		return nil, err
	}
	return &redisConn{c, bufio.NewReader(c)}, nil
}

// send writes a command.
func (c *redisConn) send(words ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	_, err := c.Write([]byte(b.String()))
	return err
}

// receive reads so many lines of an answer.
func (c *redisConn) receive(lines int) error {
	for range lines {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if line[0] == '-' {
			return fmt.Errorf("the answer of Redis is %q", strings.TrimSpace(line))
		}
	}
	return nil
}

// do sends a command whose answer has so many lines.
func (c *redisConn) do(lines int, words ...string) error {
	if err := c.send(words...); err != nil {
		return err
	}
	return c.receive(lines)
}

const benchKey = "bailiwick-bench"

// bareGets asks for a value of the size of an answer, and does nothing else.
func bareGets(ctx context.Context, n int) (took []float64, err error) {
	c, err := dialRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.do(1, "SET", benchKey, strings.Repeat("x", 200), "EX", "60"); err != nil {
		return nil, err
	}
	for range n {
		began := time.Now()
		if err := c.do(2, "GET", benchKey); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(began)))
	}
	return took, nil
}

// barePublishes sends messages from one connection to another.
func barePublishes(ctx context.Context, n int) (took []float64, err error) {
	from, err := dialRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	to, err := dialRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	const linesOfMessage = 7 // three bulk texts and their head
	if err := to.do(linesOfMessage-1, "SUBSCRIBE", benchKey); err != nil {
		return nil, err
	}
	for range n {
		began := time.Now()
		if err := errors.Join(from.send("PUBLISH", benchKey, "17"), to.receive(linesOfMessage)); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(began)))
		if err := from.receive(1); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// redisVersion is empty where there is none.
func redisVersion(ctx context.Context) string {
	c, err := dialRedis(ctx)
	if err != nil {
		return ""
	}
	defer c.Close()
	if err := c.send("INFO", "server"); err != nil {
		return ""
	}
	for {
		line, err := c.r.ReadString('\n')
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); ok || err != nil {
			return version
		}
	}
}
