package httpapi

import (
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// metrics counts in a registry of its own.
type metrics struct {
	panics    prometheus.Counter
	decisions *prometheus.CounterVec
	exports   *prometheus.CounterVec
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	page      http.Handler

	// known holds the counters of decisions that were used, so that counting
	// one neither allocates nor locks. It is replaced as a whole.
	known atomic.Pointer[map[decided]prometheus.Counter]
	mu    sync.Mutex
}

// decided is what decisions are counted by. The tenant is always one that
// exists: it is counted after it was decided.
type decided struct {
	tenant string
	reason access.Reason
}

func newMetrics(o Options, p *places) *metrics {
	m := &metrics{
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bailiwick_panics_total", Help: "Requests that ended in a panic.",
		}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bailiwick_decisions_total", Help: "Questions that were decided, by the reason of the answer.",
		}, []string{"tenant", "reason"}),
		exports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bailiwick_export_decisions_total", Help: "Questions about exports that were decided, by their answer.",
		}, []string{"tenant", "decision"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bailiwick_http_requests_total", Help: "Requests over HTTP, by the first digit of their status.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bailiwick_http_request_seconds", Help: "Time from the head of a request to the end of its answer.",
			Buckets: []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, 1, 3},
		}, []string{"method", "route"}),
	}
	m.known.Store(&map[decided]prometheus.Counter{})
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.panics, m.decisions, m.exports, m.requests, m.seconds, following{o.Follower}, p,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if o.ConditionErrors != nil {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "bailiwick_condition_errors_total", Help: "Conditions that failed while they were evaluated.",
		}, func() float64 { return float64(o.ConditionErrors()) }))
	}
	if o.Series != nil {
		registry.MustRegister(measured(o.Series))
	}
	m.page = promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: requestTime})
	return m
}

// decided counts an answer.
func (m *metrics) decided(tenant string, reason access.Reason) {
	if counter, ok := (*m.known.Load())[decided{tenant, reason}]; ok {
		counter.Inc()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := maps.Clone(*m.known.Load())
	counter := m.decisions.WithLabelValues(tenant, string(reason))
	known[decided{tenant, reason}] = counter
	m.known.Store(&known)
	counter.Inc()
}

// routeMetrics is what one route counts into.
type routeMetrics struct {
	seconds prometheus.Observer
	classes [6]prometheus.Counter // by the first digit of the status
}

func (m *metrics) route(r *route) *routeMetrics {
	rm := &routeMetrics{seconds: m.seconds.WithLabelValues(r.method, r.path)}
	for i := range rm.classes {
		rm.classes[i] = m.requests.WithLabelValues(r.method, r.path, itoa(i)+"xx")
	}
	return rm
}

func (rm *routeMetrics) observe(status int, took time.Duration) {
	rm.seconds.Observe(took.Seconds())
	if class := status / 100; class >= 0 && class < len(rm.classes) {
		rm.classes[class].Inc()
	}
}

// following shows how well the store is followed, measured when asked for.
type following struct{ f *service.Follower }

// maxLagging bounds how many tenants have a series of their own for their lag:
// those with the most. What is behind is seen however many tenants there are.
const maxLagging = 100

var (
	readyDesc    = prometheus.NewDesc("bailiwick_ready", "1 while questions are answered here, as in /readyz.", nil, nil)
	revisionDesc = prometheus.NewDesc("bailiwick_revision", "Revision that decides, by tenant.", []string{"tenant"}, nil)
	lagDesc      = prometheus.NewDesc("bailiwick_revision_lag", "Revisions that are stored and not in force here, of the tenants with the most.", []string{"tenant"}, nil)
	behindDesc   = prometheus.NewDesc("bailiwick_tenants_behind", "Tenants that are not at their newest revision here.", nil, nil)
	tenantsDesc  = prometheus.NewDesc("bailiwick_tenants", "Tenants that are known here.", nil, nil)
	inForceDesc  = prometheus.NewDesc("bailiwick_revision_in_force_seconds", "Time from the commit of a revision until it decided here, by the clock of its writer.", nil, nil)
	waitingDesc  = prometheus.NewDesc("bailiwick_store_poll_waiting", "Requests that wait for the newest revisions to be read.", nil, nil)
	pollAgeDesc  = prometheus.NewDesc("bailiwick_store_poll_age_seconds", "Time since the store was last confirmed; absent before the first time.", nil, nil)
	failuresDesc = prometheus.NewDesc("bailiwick_reload_failures_total", "Polls of the store and loads of tenants that failed.", nil, nil)
)

// Describe tells Prometheus what there is.
func (following) Describe(ch chan<- *prometheus.Desc) {
	ch <- readyDesc
	ch <- revisionDesc
	ch <- lagDesc
	ch <- behindDesc
	ch <- tenantsDesc
	ch <- inForceDesc
	ch <- waitingDesc
	ch <- pollAgeDesc
	ch <- failuresDesc
}

// Collect measures.
func (f following) Collect(ch chan<- prometheus.Metric) {
	now, ready := f.f.Following(), 0.0
	if f.f.Ready().Ready {
		ready = 1
	}
	ch <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, ready)
	for _, t := range now.Tenants {
		ch <- prometheus.MustNewConstMetric(revisionDesc, prometheus.GaugeValue, float64(t.Revision), t.Tenant)
	}
	for _, t := range now.MostBehind(maxLagging) {
		ch <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, float64(t.Lag()), t.Tenant)
	}
	ch <- prometheus.MustNewConstMetric(behindDesc, prometheus.GaugeValue, float64(now.Behind()))
	ch <- prometheus.MustNewConstMetric(tenantsDesc, prometheus.GaugeValue, float64(len(now.Tenants)))
	ch <- prometheus.MustNewConstHistogram(inForceDesc, now.InForce.Count, now.InForce.Sum, now.InForce.Buckets)
	ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(now.Waiting))
	if now.PollAge >= 0 {
		ch <- prometheus.MustNewConstMetric(pollAgeDesc, prometheus.GaugeValue, now.PollAge.Seconds())
	}
	ch <- prometheus.MustNewConstMetric(failuresDesc, prometheus.CounterValue, float64(now.Failures))
}

func (c *call) metricsPage() error {
	c.api.metrics.page.ServeHTTP(c.g.Writer, c.g.Request)
	return nil
}
