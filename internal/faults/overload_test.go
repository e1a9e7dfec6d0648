package faults_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// TestOverload (F4): questions come five times as fast as they can be answered,
// and nobody waits for answers before he asks the next. What is let in is
// answered rightly, the rest is refused in so many words; memory stays bounded,
// the replica goes on following the store, and afterwards all is as before.
func TestOverload(t *testing.T) { overload(t, 3*time.Second) }

// TestSoakOverload is TestOverload for long.
func TestSoakOverload(t *testing.T) {
	soak(t)
	overload(t, 10*time.Minute)
}

// maxMemory is what a replica under overload may take, in bytes.
const maxMemory = 512 << 20

func overload(t *testing.T, length time.Duration) {
	t.Helper()
	s := newSite(t, onMySQL(accesstest.MySQL(t)))
	s.flags = []string{"--log-level=error"}
	r := s.start("--cache-memory=0", "--server-places-scans=1", "--server-places-checks=2", "--server-places-waiting=4", "--server-places-wait=5ms")
	r.http.Transport.(*http.Transport).MaxIdleConnsPerHost = outstanding
	random := rand.New(rand.NewPCG(1, 2))
	r.load(t, "own", own(random, 20000)) // takes the server longer to answer than us to ask
	c := &crowd{r: r, batch: api.Batch{Requests: ownQuestions(random, 100)}}
	c.want = r.batch(t, "own", c.batch.Requests)

	began := time.Now()
	alone := 0
	for ; time.Since(began) < 500*time.Millisecond; alone++ {
		c.ask()
	}
	each := time.Since(began) / time.Duration(alone)
	c.results = nil
	for hurry := time.Duration(5); hurry <= 80 && !c.refused(); hurry *= 2 { // a client is slow too
		c.storm(each/hurry, length)
	}
	c.judge(t, each)

	if got := memory(r); got > maxMemory {
		t.Errorf("it took %d MiB", got>>20)
	}
	t.Logf("memory at most %d MiB", memory(r)>>20)
	eventually(t, "as before", func() bool { return r.readyNow() })
	sameAnswers(t, "after it", c.batch.Requests, r.batch(t, "own", c.batch.Requests), c.want)
	p := everybody()
	r.mustWrite(p)
	r.agrees(p)
}

// outstanding is how many questions may be open: what would be more, a client
// has given up on.
const outstanding = 256

// crowd asks without waiting for answers.
type crowd struct {
	r       *replica
	batch   api.Batch
	want    []api.Decision
	mu      sync.Mutex
	results []answer
	wrong   int
	skipped int
}

func (c *crowd) ask() {
	a := c.r.do(http.MethodPost, "/t/own/v1/enforce/batch", c.batch)
	wrong := 0
	if a.status == http.StatusOK {
		var all api.Decisions
		if json.Unmarshal(a.body, &all) != nil || !slices.EqualFunc(all.Decisions, c.want, sameAnswer) {
			wrong++
		}
		a.body = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results, c.wrong = append(c.results, a), c.wrong+wrong
}

func sameAnswer(a, b api.Decision) bool { return a.Allowed == b.Allowed && a.Reason == b.Reason }

// refused tells whether some question found no place.
func (c *crowd) refused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.results, func(a answer) bool { return a.status == http.StatusServiceUnavailable })
}

// storm asks at a fixed pace.
func (c *crowd) storm(pace, length time.Duration) {
	open := make(chan struct{}, outstanding)
	var asking sync.WaitGroup
	began := time.Now()
	for next := began; next.Sub(began) < length; next = next.Add(pace) {
		time.Sleep(time.Until(next))
		select {
		case open <- struct{}{}:
			asking.Go(func() { defer func() { <-open }(); c.ask() })
		default:
			c.skipped++
		}
	}
	asking.Wait()
}

// judge looks at everything that was answered.
func (c *crowd) judge(t *testing.T, each time.Duration) {
	t.Helper()
	var admitted, refused []time.Duration
	for _, a := range c.results {
		switch {
		case a.status == http.StatusOK:
			admitted = append(admitted, a.took)
		case a.status == http.StatusServiceUnavailable && a.code == "overloaded" && a.retry != "":
			refused = append(refused, a.took)
		default:
			t.Errorf("neither an answer nor a refusal: %s", a)
		}
	}
	if c.wrong > 0 {
		t.Errorf("%d wrong answers", c.wrong)
	}
	if len(admitted) == 0 || len(refused) == 0 {
		t.Fatalf("%d answered, %d refused: that is no overload", len(admitted), len(refused))
	}
	t.Logf("alone %s each; then %d answered (%s), %d refused (%s), %d not sent because %d were open",
		each.Round(time.Microsecond), len(admitted), spread(admitted), len(refused), spread(refused), c.skipped, outstanding)
}

func spread(all []time.Duration) string {
	slices.Sort(all)
	at := func(percent int) time.Duration { return all[(len(all)-1)*percent/100].Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %s, p99 %s, most %s", at(50), at(99), at(100))
}

// memory is the most that the replica's process has had, in bytes, where the
// system tells; else 0.
func memory(r *replica) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(r.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(kilobytes, 10, 64)
	return n << 10
}
