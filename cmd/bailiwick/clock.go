package main

import "time"

// forward is a clock that goes on when the machine's clock is set back: what has
// expired stays expired. It follows when that one is set ahead, as it is after a
// machine was suspended, when elapsed has stood still.
func forward(wall func() time.Time, elapsed func() time.Duration) func() time.Time {
	start, before := wall(), elapsed()
	return func() time.Time {
		now := wall()
		if steady := start.Add(elapsed() - before); steady.After(now.Round(0)) {
			return steady
		}
		return now
	}
}

// clock is the one that decides what has expired.
func clock() func() time.Time {
	start := time.Now()
	return forward(time.Now, func() time.Duration { return time.Since(start) }) // by the monotonic clock
}
