package httpapi_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/audit"
)

// TestReplay answers 10,000 questions while groups, users and their rights change,
// and replays every one: none comes out otherwise.
func TestReplay(t *testing.T) { replayed(t, 10_000, 40) }

// TestSoakReplay is TestReplay with 100,000.
func TestSoakReplay(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") == "" {
		t.Skip("BAILIWICK_SOAK is not set")
	}
	replayed(t, 100_000, 200)
}

// replayed asks and changes by a fixed seed.
func replayed(t *testing.T, questions, revisions int) {
	t.Helper()
	r := newRecorded(t, func(o *audit.Options) { o.Queue = 100_000 })
	random := rand.New(rand.NewPCG(1, 2))
	texts := map[string]string{}
	for name, text := range authzenTexts {
		texts[name] = text
	}
	ctx, asked := context.Background(), 0
	key := access.Caller{Name: "key:x", Tenant: "default", May: access.KeyDecide}
	for round := range revisions {
		right := []string{"read", "write"}[random.IntN(2)]
		until := time.Now().Add(time.Duration(random.IntN(100)) * time.Millisecond).UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
		texts["groups/readers.yaml"] = fmt.Sprintf("apiVersion: bailiwick/v1\nkind: Group\ncode: readers\nname: Readers %d\ngrants: [{section: record, rights: [%s], until: %q}]\n", round, right, until)
		texts["users/all.yaml"] = fmt.Sprintf("apiVersion: bailiwick/v1\nkind: Users\nusers:\n  - {id: alice, groups: [writers]}\n  - {id: bob, groups: [readers%s]}\n",
			[]string{"", ", writers"}[random.IntN(2)])
		delete(texts, "tests/records.yaml")
		r.load("default", files(texts))
		for range questions / revisions {
			q := access.Request{
				Subject: access.Subject{Kind: access.KindUser, ID: []string{"alice", "bob", "eve"}[random.IntN(3)]},
				Actions: []access.Action{[]access.Action{"read", "write", "delete", "show", "fly"}[random.IntN(5)]},
				Section: []access.Section{"record", "System.Orders", "System", "None"}[random.IntN(4)],
				Scope:   []access.Scope{"", "store:eu-1", "store:xx"}[random.IntN(3)],
			}
			if random.IntN(2) == 0 {
				q.ResourceAttributes = map[string]any{"status": []string{"archived", "open"}[random.IntN(2)]}
				q.ActionAttributes = map[string]any{"soft": random.IntN(2) == 0}
			}
			if _, err := r.options.Decisions.CheckAll(ctx, key, "default", []access.Request{q}, access.Consistency{}); err != nil {
				t.Fatal(err)
			}
			asked++
		}
		r.flush()
	}
	began, replays, allowed := time.Now(), 0, 0
	q := access.RecordedSearch{Most: 1000, Forward: true}
	for {
		page, err := r.store.FindDecisions(ctx, "default", q)
		r.must(err)
		for _, e := range page {
			done, err := r.options.Records.Replay(ctx, rootCaller, "default", e.ID)
			if r.must(err); len(done.Differs) > 0 {
				t.Fatalf("%v: %+v, and again %+v", done.Differs, e, done.Again)
			}
			if replays++; e.Decision.Allowed {
				allowed++
			}
		}
		if len(page) < q.Most {
			break
		}
		q.After = page[len(page)-1].ID
	}
	if replays != asked || allowed == 0 || allowed == replays || r.kept.Stats().Lost != 0 {
		t.Errorf("%d of %d were replayed, %d allowed, %+v", replays, asked, allowed, r.kept.Stats())
	}
	t.Logf("%d decisions of %d revisions replayed in %s, none otherwise", replays, revisions, time.Since(began).Round(time.Millisecond))
}
