package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// target is where a command asks or works: policy files, a server, or a
// database.
type target struct {
	files   string
	server  string
	keyFile string
	tenant  string
	store   *settings // nil where a database will not do
}

// The variables that stand in for flags. A key is never given on the command
// line, where everybody on the machine could read it.
const (
	serverVariable = "BAILIWICK_SERVER"
	keyVariable    = "BAILIWICK_API_KEY"
	tenantVariable = "BAILIWICK_TENANT"
)

func (t *target) serverFlags(f *pflag.FlagSet) {
	f.StringVar(&t.server, "server", "", "address of a running server ("+serverVariable+")")
	f.StringVar(&t.keyFile, "api-key-file", "", "file that holds the API key ("+keyVariable+" holds the key itself)")
}

// askFlags are for commands that only ask.
func (t *target) askFlags(f *pflag.FlagSet) {
	f.StringVar(&t.files, "files", "", "folder of policy files to ask instead of a server")
	f.StringVar(&t.tenant, "tenant", "", "tenant to ask about; default, or the one in the files ("+tenantVariable+", of a server)")
	t.serverFlags(f)
}

// adminFlags are for commands that list or change what is stored.
func adminFlags(cmd *cobra.Command) *target {
	t := &target{store: settingsFlags(cmd, "store.")}
	t.serverFlags(cmd.Flags())
	return t
}

func (t *target) tenantFlag(cmd *cobra.Command, usage string) { tenantFlag(cmd, &t.tenant, usage) }

// tenantFlag names a tenant; the variable does where the flag is left out.
func tenantFlag(cmd *cobra.Command, to *string, usage string) {
	cmd.Flags().StringVar(to, "tenant", access.DefaultTenant, usage+" ("+tenantVariable+")")
	cmd.PreRun = func(cmd *cobra.Command, _ []string) {
		if named := os.Getenv(tenantVariable); named != "" && !cmd.Flags().Changed("tenant") {
			*to = named
		}
	}
}

// bundleTenantFlag names the tenant that policy files go to: the one that they are
// for, where neither flag nor variable say otherwise. Those of one tenant put into
// force in another one by a slip would replace all that it has.
func (t *target) bundleTenantFlag(cmd *cobra.Command, usage string) {
	t.tenantFlag(cmd, usage+"; the one of bundle.yaml when left out")
	cmd.Flags().Lookup("tenant").DefValue = ""
	t.tenant = ""
}

// tenantOf gives the tenant that files go to.
func (t *target) tenantOf(files map[string]string) string {
	var bundle struct{ Tenant string }
	if t.tenant == "" && yaml.Unmarshal([]byte(files["bundle.yaml"]), &bundle) != nil {
		bundle.Tenant = "" // the reader of policies says what is wrong
	}
	return cmp.Or(t.tenant, bundle.Tenant, access.DefaultTenant)
}

// open finds whom to ask, and about which tenant. Files are asked through the
// same API as a server, only without a network in between: what differs could
// differ in nothing but the store.
func (c *cli) open(ctx context.Context, t *target) (*api.Client, error) {
	if t.files != "" && t.server != "" {
		return nil, usage("--files and --server are both given; keep one")
	}
	if t.files == "" {
		client, err := t.remote()
		if err == nil && client == nil {
			err = usage("say whom to ask: --files DIR, or --server URL (" + serverVariable + ")")
		}
		return client, err
	}
	b, err := readFolder(t.files)
	if err != nil {
		return nil, err
	}
	if t.tenant != "" {
		b.Policy.Tenant = t.tenant
	}
	return onPaper(ctx, b.Policy.Facts())
}

// remote gives the server that flag or environment name, or nil.
func (t *target) remote() (*api.Client, error) {
	address := t.server
	if address == "" {
		address = os.Getenv(serverVariable)
	}
	if address == "" {
		return nil, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usage("--server: %q is not an address such as http://127.0.0.1:8080", address)
	}
	key, err := t.key()
	return &api.Client{URL: address, Key: key, Tenant: cmp.Or(t.tenant, os.Getenv(tenantVariable))}, err
}

func (t *target) key() (string, error) {
	if t.keyFile != "" {
		text, err := os.ReadFile(t.keyFile)
		if err != nil {
			return "", usage("--api-key-file: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	if key := os.Getenv(keyVariable); key != "" {
		return key, nil
	}
	return "", usage("the server wants an API key: put it into %s, or its file into --api-key-file", keyVariable)
}

// administer does something on the server that is named, or else on the
// configured database.
func (c *cli) administer(ctx context.Context, t *target, do func(administration) error) (err error) {
	r, err := t.remote()
	if err != nil {
		return err
	}
	if r != nil {
		if t.server != "" && t.store.any() {
			return usage("--server and a --store flag are both given; keep one")
		}
		if !t.store.any() {
			return do(r)
		}
	}
	cfg, err := t.store.load()
	if err != nil {
		return err
	}
	l, err := c.openLocal(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.store.Close()) }()
	return do(l)
}

// onPaper serves facts that were read from files inside this process.
func onPaper(ctx context.Context, f access.Facts) (*api.Client, error) {
	h := furnish(&paper{facts: f}, &caches{}, config.Default(), sourceCLI, aside{}, slog.New(slog.DiscardHandler))
	key, _, err := h.keys.Create(ctx, operator(), access.AllTenants, access.KeyRead, "this process")
	if err != nil {
		return nil, err
	}
	if err := h.moveIn(ctx); err != nil {
		return nil, err
	}
	door, err := httpapi.NewServer(httpapi.Options{
		Decisions: h.decisions, Policies: h.policies, Tenants: h.tenants, Keys: h.keys, Follower: h.follower,
	})
	if err != nil {
		return nil, err
	}
	transport := &http.Client{Transport: inProcess{door.Handler()}}
	return &api.Client{URL: "http://files", Key: key, Tenant: f.Tenant, HTTP: transport}, nil
}

// inProcess carries requests to a handler in this process.
type inProcess struct{ handler http.Handler }

// RoundTrip runs the handler and hands back what it wrote.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := &written{header: http.Header{}, code: http.StatusOK}
	p.handler.ServeHTTP(w, r)
	return &http.Response{
		StatusCode: w.code, Status: http.StatusText(w.code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

type written struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

// Header is what will be sent before the body.
func (w *written) Header() http.Header { return w.header }

// WriteHeader keeps the status.
func (w *written) WriteHeader(code int) { w.code = code }

// Write keeps a part of the body.
func (w *written) Write(p []byte) (int, error) { return w.body.Write(p) }
