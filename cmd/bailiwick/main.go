// Bailiwick answers access questions and keeps the policies behind them. This
// package is its command line: main and run below, one file for each command,
// and serve.go, where all rooms of the house are wired together.
//
// Manners of the command line: answers go to standard output, everything else
// to standard error; with -o json an answer is one line of JSON; an error is
// one line in lower case that says what to do next. The exit codes are those
// of exit.go.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// grace is how long further signals change nothing: some tools that end a
// program send two at once.
const grace = 2 * time.Second

// run is the whole program: it runs one command and gives its exit code. The
// first interrupt or termination signal ends ctx, so that commands can finish
// what they are at; one that comes later than grace kills the process as usual.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { time.AfterFunc(grace, stop) })

	c := &cli{in: stdin, out: stdout, err: stderr}
	root := c.root()
	root.SetArgs(append([]string{}, args...))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return c.exit(root.ExecuteContext(ctx))
}
