package faults_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestKill (R1): a replica is killed at a random moment while two clients write
// through it. Whatever was acknowledged is there, nothing is there by half, the
// history verifies, and the next replica answers by what is stored.
func TestKill(t *testing.T) { killOnEach(t, 25) }

// TestSoakKill is TestKill for long.
func TestSoakKill(t *testing.T) {
	soak(t)
	killOnEach(t, 250)
}

// soak leaves a long test out unless it was asked for.
func soak(t *testing.T) {
	t.Helper()
	if os.Getenv("BAILIWICK_SOAK") == "" {
		t.Skip("a long test: set BAILIWICK_SOAK=1 or run make soak")
	}
}

func killOnEach(t *testing.T, rounds int) {
	t.Helper()
	t.Parallel()
	for name, options := range map[string]func(t *testing.T) store.Options{
		"mysql": func(t *testing.T) store.Options { t.Helper(); return onMySQL(accesstest.MySQL(t)) },
		"sqlite": func(t *testing.T) store.Options {
			t.Helper()
			return store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &killing{site: newSite(t, options(t)), maybe: []staff{{}}, keys: map[string]bool{}}
			for range rounds {
				k.round()
			}
			if k.writes < rounds || len(k.keys) < rounds {
				t.Errorf("%d policies and %d keys in %d rounds: it is killed too early", k.writes, len(k.keys), rounds)
			}
			t.Logf("%d policies and %d keys were acknowledged in %d rounds; %d writes were cut off and are there", k.writes, len(k.keys), rounds, k.lucky)
		})
	}
}

// killing is what the clients of all replicas so far know.
type killing struct {
	*site
	writes   int
	lucky    int             // cut off, and stored nevertheless
	revision uint64          // newest that was acknowledged
	maybe    []staff         // what may be stored: acknowledged last, and tried after that
	keys     map[string]bool // ids of keys that were acknowledged
}

func (k *killing) round() {
	k.t.Helper()
	r := k.start()
	if k.writes == 0 {
		k.maybe = []staff{everybody()}
		k.revision = r.mustWrite(k.maybe[0])
		k.writes++
	}
	r.agrees(k.maybe[len(k.maybe)-1])
	var clients, begun sync.WaitGroup // each of both has had an answer
	for _, write := range []func(*replica, func()){k.writePolicies, k.writeKeys} {
		begun.Add(1)
		clients.Go(func() { first := sync.OnceFunc(begun.Done); defer first(); write(r, first) })
	}
	begun.Wait()
	time.Sleep(rand.N(80 * time.Millisecond))
	r.kill()
	clients.Wait()
	k.compare()
}

// writePolicies writes until the replica is gone, and tells of what was
// acknowledged.
func (k *killing) writePolicies(r *replica, acknowledged func()) {
	for {
		next := k.maybe[0]
		user := rand.IntN(len(next.in))
		next.in[user], next.role = !next.in[user], rand.IntN(4) > 0
		k.maybe = append(k.maybe[:1], next)
		loaded, a := r.write(next)
		if a.status == 0 || a.err != nil {
			return
		}
		if a.status != http.StatusOK {
			k.t.Errorf("write: %s", a)
			return
		}
		k.writes++
		k.revision, k.maybe = loaded.Revision, []staff{next}
		acknowledged()
	}
}

// writeKeys does the same with keys.
func (k *killing) writeKeys(r *replica, acknowledged func()) {
	for {
		a := r.do(http.MethodPost, "/v1/tenants/default/keys", api.NewKey{Kind: "decide", Name: fmt.Sprint("key ", len(k.keys))})
		if a.status == 0 || a.err != nil {
			return
		}
		var made api.CreatedKey
		if a.status != http.StatusCreated || json.Unmarshal(a.body, &made) != nil {
			k.t.Errorf("key: %s", a)
			return
		}
		k.keys[made.ID] = true
		acknowledged()
	}
}

// compare looks into the database, past all replicas.
func (k *killing) compare() {
	t := k.t
	t.Helper()
	if at := k.verify(); uint64(at) < k.revision {
		t.Fatalf("revision %d was acknowledged, and the store is at %d", k.revision, at)
	}
	db, err := store.Open(t.Context(), k.store)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	stored, err := db.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, key := range stored {
		there[key.ID] = true
	}
	for id := range k.keys {
		if !there[id] {
			t.Errorf("key %s was acknowledged and is not there", id)
		}
	}
	facts, err := db.Load(t.Context(), access.DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range k.maybe {
		if s.storedIn(t, facts) {
			k.lucky += i
			k.maybe = []staff{s}
			return
		}
	}
	t.Fatalf("what is stored is neither the last policy that was acknowledged nor the one after it: %v", facts.Rules)
}

// storedIn tells whether the rules are exactly those of the policy.
func (s staff) storedIn(t testing.TB, f access.Facts) bool {
	t.Helper()
	p := s.read(t)
	return slices.Equal(sorted(p.Facts().Rules), sorted(f.Rules))
}

func sorted(rules []access.Rule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.String())
	}
	slices.Sort(all)
	return all
}
