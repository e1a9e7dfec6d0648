package main

import (
	"testing"
	"time"
)

// TestForward: whoever sets the machine's clock back brings nothing back that
// has expired, and a machine that slept knows what time it is.
func TestForward(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		wall          time.Time
		elapsed, want time.Duration // want: after noon
	}{
		"as it should be":     {noon.Add(time.Minute), time.Minute, time.Minute},
		"set back an hour":    {noon.Add(-59 * time.Minute), time.Minute, time.Minute},
		"set ahead an hour":   {noon.Add(61 * time.Minute), time.Minute, 61 * time.Minute},
		"asleep for an hour":  {noon.Add(61 * time.Minute), time.Minute, 61 * time.Minute},
		"corrected by little": {noon.Add(59 * time.Second), time.Minute, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			wall, elapsed := noon, time.Hour
			now := forward(func() time.Time { return wall }, func() time.Duration { return elapsed })
			wall, elapsed = c.wall, elapsed+c.elapsed
			if got := now().Sub(noon); got != c.want {
				t.Errorf("it is %s past noon, want %s", got, c.want)
			}
		})
	}
}
