package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/store"
)

// verifying is what verify was asked to do.
type verifying struct {
	tenant  string
	export  string
	keys    []string
	against string
}

func (c *cli) verifyCommand() *cobra.Command {
	var v verifying
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Find out whether the history is what was written",
		Long: `Find out whether the history is what was written: of a database, of a server, or
in a file that bailiwick audit export has written, for which nothing but the
public key is needed.

Every revision holds the hash of the one before and of all its changes, and
checkpoints sign them. So it finds every row of the history that was edited,
removed or put elsewhere. That the newest ones were removed together with their
checkpoints, or that a backup was put in the place of all, shows by what was kept
elsewhere: --against names an earlier report (verify -o json), the file of
audit.witness, or an export, which also tells the rows apart.

Whether users, groups and rules are what the history adds up to is for doctor.
The exit code is 1 if anything was found.`,
		Example: `  bailiwick verify
  bailiwick verify --tenant crm --server https://access.example.com --public-key audit.pub
  bailiwick verify --export crm.ndjson --public-key audit.pub
  bailiwick verify -o json > yesterday.json; bailiwick verify --against yesterday.json`,
		Args: exactly(0),
	}
	at := &target{store: settingsFlags(cmd, "store.", "audit.")}
	at.serverFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&v.tenant, "tenant", "", "this tenant alone")
	f.StringVar(&v.export, "export", "", "file that bailiwick audit export has written")
	f.StringArrayVar(&v.keys, "public-key", nil, "public key that has signed, base64 or a file with it; repeatable")
	f.StringVar(&v.against, "against", "", "report of verify -o json, file of audit.witness, or export, which must still hold")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.verify(cmd.Context(), at, v)
	}
	return cmd
}

func (c *cli) verify(ctx context.Context, at *target, v verifying) error {
	keys, err := publicKeys(v.keys)
	if err != nil {
		return err
	}
	earlier, err := readEarlier(v.against)
	if err != nil {
		return err
	}
	var reports []access.TrailReport
	judge := func(lines func(take func(access.TrailLine) error) error) error {
		r, err := earlier.judge(lines, keys)
		reports = append(reports, r)
		return err
	}
	switch {
	case v.export != "":
		err = verifyFile(v.export, judge)
	default:
		err = c.verifyStored(ctx, at, v.tenant, &keys, judge)
	}
	if err != nil {
		return err
	}
	for _, was := range earlier.heads {
		if !hasReport(reports, was.Tenant) && (v.tenant == "" || v.tenant == was.Tenant) && v.export == "" {
			reports = append(reports, access.TrailReport{Tenant: was.Tenant, Wrong: []string{"the tenant is not there any more"}})
		}
	}
	return c.tellVerified(reports, len(keys) > 0)
}

func hasReport(reports []access.TrailReport, tenant string) bool {
	for _, r := range reports {
		if r.Tenant == tenant {
			return true
		}
	}
	return false
}

// judging reads one history.
type judging func(lines func(take func(access.TrailLine) error) error) error

// verifyStored verifies what a server or a database has. A database has its own
// key beside it, if no other was named.
func (c *cli) verifyStored(ctx context.Context, at *target, tenant string, keys *[]ed25519.PublicKey, judge judging) (err error) {
	server, err := at.remote()
	if err != nil {
		return err
	}
	if server != nil && !at.store.any() {
		all, err := server.Tenants(ctx)
		if err != nil {
			return err
		}
		return each(all, tenant, func(t api.Tenant) string { return t.Code }, func(code string) error {
			return judge(func(take func(access.TrailLine) error) error { return trailOf(ctx, server, code, take) })
		})
	}
	cfg, err := at.store.load()
	if err != nil {
		return err
	}
	if len(*keys) == 0 {
		if key, err := signingKey(cfg, false); err == nil && key != nil {
			*keys = []ed25519.PublicKey{key.Public().(ed25519.PublicKey)} //nolint:forcetypeassert // by its documentation
		}
	}
	db, err := openStore(ctx, cfg, c.log(cfg.Log), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return c.verifyDatabase(ctx, db, tenant, judge)
}

func (c *cli) verifyDatabase(ctx context.Context, db *store.Store, tenant string, judge judging) error {
	all, err := db.Tenants(ctx)
	if err != nil {
		return err
	}
	return each(all, tenant, func(t access.Tenant) string { return t.Code }, func(code string) error {
		return judge(func(take func(access.TrailLine) error) error { return db.Trail(ctx, code, take) })
	})
}

// each does something with one tenant or with all; there must be one.
func each[T any](all []T, only string, code func(T) string, do func(string) error) error {
	found := false
	for _, t := range all {
		if only != "" && code(t) != only {
			continue
		}
		found = true
		if err := do(code(t)); err != nil {
			return err
		}
	}
	if !found {
		return access.NotFound("tenant", only)
	}
	return nil
}

// trailOf reads a history from a server while it comes.
func trailOf(ctx context.Context, server *api.Client, tenant string, take func(access.TrailLine) error) error {
	out, in := io.Pipe()
	go func() { _ = in.CloseWithError(server.Trail(ctx, tenant, in)) }()
	err := readTrail(out, take)
	_ = out.CloseWithError(io.ErrClosedPipe)
	return err
}

func readTrail(from io.Reader, take func(access.TrailLine) error) error {
	for lines := json.NewDecoder(bufio.NewReader(from)); ; {
		var l access.TrailLine
		if err := lines.Decode(&l); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a history: %w", err)
		}
		if err := take(l); err != nil {
			return err
		}
	}
}

// lineOf reads a line of a file, which must be just as it was written: what no
// hash is of, such as a member of another name, must not be read into it either.
func lineOf(lines *json.Decoder) (l access.TrailLine, err error) {
	var raw json.RawMessage
	if err := lines.Decode(&raw); err != nil {
		return l, err
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, err
	}
	var written bytes.Buffer
	if err := writeJSON(&written, l); err != nil {
		return l, err
	}
	if !bytes.Equal(bytes.TrimSpace(written.Bytes()), raw) {
		return l, fmt.Errorf("%.100q is not as bailiwick audit export writes it", raw)
	}
	return l, nil
}

// verifyFile verifies one history after the other. A line that cannot be read
// is a finding, not a failure.
func verifyFile(path string, judge judging) error {
	file, err := os.Open(path) //nolint:gosec // that is what was asked for
	if err != nil {
		return usage("%w", err)
	}
	defer file.Close()
	lines, more := json.NewDecoder(bufio.NewReader(file)), true
	for more {
		err := judge(func(take func(access.TrailLine) error) error {
			for {
				l, err := lineOf(lines)
				if errors.Is(err, io.EOF) {
					more = false
					return nil
				}
				if err != nil {
					more = false
					return take(access.TrailLine{Kind: "cannot be read: " + err.Error()})
				}
				if err := take(l); err != nil {
					return err
				}
				if l.Kind == access.TrailEnd {
					more = lines.More()
					return nil
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// earlier is what was noted of histories elsewhere.
type earlier struct {
	heads []access.TrailReport
	rows  map[string]map[access.TrailRow][sha256.Size]byte // by tenant, of an export
}

// judge goes through one history.
func (e *earlier) judge(lines func(take func(access.TrailLine) error) error, keys []ed25519.PublicKey) (access.TrailReport, error) {
	var trail *access.Trail
	err := lines(func(l access.TrailLine) error {
		if trail == nil {
			trail = access.NewTrail(keys, e.rows[l.Tenant])
		}
		trail.Take(l)
		return nil
	})
	if err != nil {
		return access.TrailReport{}, err
	}
	if trail == nil {
		trail = access.NewTrail(keys, nil)
	}
	for _, was := range e.heads {
		trail.Holds(was)
	}
	return trail.Done(), nil
}

// readEarlier reads a report, a witness or an export.
func readEarlier(path string) (*earlier, error) {
	e := &earlier{rows: map[string]map[access.TrailRow][sha256.Size]byte{}}
	if path == "" {
		return e, nil
	}
	if err := verifyFile(path, e.copy); err != nil {
		return nil, err
	}
	if len(e.heads) > 0 {
		return e, nil
	}
	noted, err := readWitness(path)
	if err != nil {
		return nil, usage("--against: %w", err)
	}
	for _, c := range noted {
		e.heads = append(e.heads, access.TrailReport{Tenant: c.Tenant, Revision: c.Revision, Hash: c.Hash})
	}
	text, err := os.ReadFile(path) //nolint:gosec // that is what was asked for
	if err != nil {
		return nil, usage("--against: %w", err)
	}
	var was verifiedAnswer
	if len(noted) == 0 && (json.Unmarshal(text, &was) != nil || len(was.Tenants) == 0) {
		return nil, usage("--against: %s is neither a report of verify -o json, nor a file of audit.witness, nor an export", path)
	}
	e.heads = append(e.heads, was.Tenants...)
	return e, nil
}

// copy notes the rows of one history of an export.
func (e *earlier) copy(lines func(take func(access.TrailLine) error) error) error {
	var head access.TrailReport
	return lines(func(l access.TrailLine) error {
		switch l.Kind {
		case access.TrailHead:
			head.Tenant = l.Tenant
			e.rows[l.Tenant] = map[access.TrailRow][sha256.Size]byte{}
		case access.TrailRevision, access.TrailChange:
			if rows := e.rows[head.Tenant]; rows != nil {
				rows[l.Row()] = l.Digest()
			}
		case access.TrailEnd:
			head.Revision, head.Hash = l.Revision, l.Hash
			e.heads = append(e.heads, head)
		}
		return nil
	})
}

type verifiedAnswer struct {
	Found   int                  `json:"found"`
	Tenants []access.TrailReport `json:"tenants"`
}

func (c *cli) tellVerified(reports []access.TrailReport, withKey bool) error {
	sum := verifiedAnswer{Tenants: reports}
	for _, r := range reports {
		sum.Found += len(r.Wrong)
	}
	err := c.answer(sum, func(w io.Writer) {
		for _, r := range reports {
			writeVerified(w, r, withKey)
		}
	})
	if err == nil && sum.Found > 0 {
		err = reported(exitFailed)
	}
	return err
}

// verifyNext is what to do about a history that is not what was written.
const verifyNext = `What to do next:
  - Keep a copy of the database as it is, and of the logs: it is evidence. Change its password.
  - bailiwick verify --against EXPORT, with an export from before, names each row that differs.
  - bailiwick doctor tells whether users, groups and rules are as the history has them.
  - Restore the newest backup that verifies, and say so with bailiwick tenant renew-epoch.
`

func writeVerified(w io.Writer, r access.TrailReport, withKey bool) {
	if len(r.Wrong) > 0 {
		fmt.Fprintf(w, "%s: WRONG\n", r.Tenant)
		for _, what := range r.Wrong {
			fmt.Fprintf(w, "  %s\n", what)
		}
		fmt.Fprint(w, verifyNext)
		return
	}
	fmt.Fprintf(w, "%s: %s with %s, as they were written", r.Tenant, plural(int(r.Revision), "revision", "revisions"), plural(r.Changes, "change", "changes")) //nolint:gosec // few
	switch {
	case !withKey:
		fmt.Fprint(w, "; signatures were not looked at, for no public key is known")
	case r.Signed == 0:
		fmt.Fprint(w, "; nothing is signed")
	default:
		fmt.Fprintf(w, "; signed up to revision %d", r.Signed)
	}
	if withKey && r.Signed < r.Revision {
		fmt.Fprintf(w, ". That nobody has rewritten what is newer is NOT proven")
	}
	fmt.Fprintln(w)
}

func publicKeys(given []string) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	for _, g := range given {
		text := g
		if content, err := os.ReadFile(g); err == nil { //nolint:gosec // that is what was asked for
			text = string(content)
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, usage("--public-key: %q is neither a public key, as bailiwick keys audit prints it, nor a file with one", g)
		}
		keys = append(keys, raw)
	}
	return keys, nil
}
