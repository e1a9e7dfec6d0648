package store_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// The variables by which the test runs itself as a writer that is to be killed.
const (
	victimDriver = "BAILIWICK_STORE_VICTIM_DRIVER"
	victimDSN    = "BAILIWICK_STORE_VICTIM_DSN"
)

func TestMain(m *testing.M) {
	if driver := os.Getenv(victimDriver); driver != "" {
		err := writeForEver(store.Options{Driver: driver, DSN: os.Getenv(victimDSN)})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForEver writes policies and keys and says which revisions it was told.
func writeForEver(o store.Options) error {
	ctx := context.Background()
	s, err := store.Open(ctx, o)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(uint64(os.Getpid()), 0))
	for i := 0; ; i++ {
		p := accesstest.RandomPolicy(r, access.DefaultTenant)
		p.Description = fmt.Sprintf("%d of %d", i, os.Getpid())
		d, err := s.Apply(ctx, p, any1)
		if err != nil {
			return err
		}
		k := access.APIKey{
			ID: fmt.Sprintf("k%d-%d", os.Getpid(), i), Tenant: access.DefaultTenant, Kind: access.KeyRead,
			Name: "n", SecretHash: sha256.Sum256([]byte{1}),
		}
		if err := s.AddKey(ctx, k, access.Change{Base: d.To, Author: "victim"}); err != nil {
			return err
		}
		fmt.Println(d.To + 1)
	}
}

// TestKill: a writer is killed at a random moment. Whatever it was told is
// there, nothing is there by half, and the next writer goes on.
func TestKill(t *testing.T) {
	onEach(t, func(d database) { d.killWriters(25) })
}

// TestSoakKill does so for longer: BAILIWICK_SOAK=1.
func TestSoakKill(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") == "" {
		t.Skip("takes minutes; set BAILIWICK_SOAK=1")
	}
	onEach(t, func(d database) { d.killWriters(250) })
}

func (d database) killWriters(rounds int) {
	t, o := d.t, d.options
	s := accesstest.OpenStore(t, o)
	for range rounds {
		before := load(t, s, access.DefaultTenant)
		told := killed(t, o)
		f := load(t, s, access.DefaultTenant)
		if f.Revision < told {
			t.Fatalf("revision %d was acknowledged, and the store is at %d", told, f.Revision)
		}
		verify(t, s, access.DefaultTenant)
		followed(t, s, before, f)
	}
	keys, err := s.Keys(t.Context())
	if err != nil || len(keys) < rounds {
		t.Errorf("%d keys (%v): the test kills too early", len(keys), err)
	}
	apply(t, s, accesstest.StorePolicy(access.DefaultTenant))
}

// followed: what was recorded is what was done. A victim may get far between two
// looks, and then only a full load will do.
func followed(t *testing.T, s *store.Store, before, after access.Facts) {
	t.Helper()
	d, err := s.Changes(t.Context(), before.Tenant, before.Revision)
	if errors.Is(err, access.ErrStale) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := before.Apply(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Rules) == 0 {
		got.Rules = nil
	}
	if !reflect.DeepEqual(got, after) {
		t.Fatalf("the history leads to\n%+v\nand what lies there is\n%+v", got, after)
	}
}

// killed runs a writer for a while and gives the last revision it was told.
func killed(t *testing.T, o store.Options) access.Revision {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), victimDriver+"="+o.Driver, victimDSN+"="+o.DSN)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told access.Revision
	for line := bufio.NewScanner(out); line.Scan(); {
		n, err := strconv.ParseUint(line.Text(), 10, 64)
		if err != nil {
			t.Fatalf("the writer says %q", line.Text())
		}
		if told == 0 {
			time.AfterFunc(rand.N(80*time.Millisecond), func() { _ = cmd.Process.Kill() })
		}
		told = access.Revision(n)
	}
	if err := cmd.Wait(); err == nil || told == 0 {
		t.Fatalf("the writer ended by itself after revision %d: %v", told, err)
	}
	return told
}
