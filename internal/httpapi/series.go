package httpapi

import "github.com/prometheus/client_golang/prometheus"

// Series is one measure of a room that the doors do not know.
type Series struct {
	Name, Help string
	Label, Of  string // one label and its value; none when empty
	Counts     bool   // it only ever grows
	Value      float64
}

// measured shows series, measured when asked for.
type measured func() []Series

// Describe tells nothing: what there is shows when it is collected.
func (measured) Describe(chan<- *prometheus.Desc) {}

// Collect measures.
func (m measured) Collect(ch chan<- prometheus.Metric) {
	for _, s := range m() {
		kind := prometheus.GaugeValue
		if s.Counts {
			kind = prometheus.CounterValue
		}
		var labels, values []string
		if s.Label != "" {
			labels, values = []string{s.Label}, []string{s.Of}
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(s.Name, s.Help, labels, nil), kind, s.Value, values...)
	}
}
