package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
)

func (c *cli) healthcheckCommand() *cobra.Command {
	var server string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a server whether it answers questions; for containers",
		Long: `Ask a server whether it answers questions. The exit code is 0 when it does, and
1 when it does not or cannot be reached. Without --server it is the one that is
configured for this machine (server.listen).`,
		Example: `  bailiwick healthcheck
  bailiwick healthcheck --server http://127.0.0.1:8080 --timeout 1s`,
		Args: exactly(0),
	}
	set := settingsFlags(cmd, "server.listen", "server.metrics_listen")
	cmd.Flags().StringVar(&server, "server", "", "address of the server (BAILIWICK_SERVER)")
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if server == "" {
			server = os.Getenv("BAILIWICK_SERVER")
		}
		if server == "" {
			cfg, err := set.load()
			if err != nil {
				return err
			}
			server = "http://" + reachable(cfg.Server.Listen)
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		return c.healthcheck(ctx, server)
	}
	return cmd
}

// reachable turns an address to listen on into one to connect to.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

func (c *cli) healthcheck(ctx context.Context, server string) error {
	health, err := (&api.Client{URL: server}).Ready(ctx)
	if err != nil {
		return fmt.Errorf("%s is not healthy: %w", server, err)
	}
	if err := c.answer(health, func(w io.Writer) { writeHealth(w, health) }); err != nil {
		return err
	}
	if health.Status == "unavailable" {
		return reported(exitFailed)
	}
	return nil
}

func writeHealth(w io.Writer, h api.Health) {
	fmt.Fprintln(w, h.Status)
	for _, check := range h.Checks {
		fmt.Fprintf(w, "  %s: %s\n", check.Name, strings.Join(append([]string{check.Status}, check.Reasons...), "; "))
	}
}
