package engine

import (
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Alone makes an engine of one tenant, which answers by these facts and no
// others: those of the past, for instance. It shares nothing with other engines.
func Alone(f access.Facts, o Options) (*Engine, error) {
	e := New(o)
	install, err := e.Prepare(f)
	if err != nil {
		return nil, err
	}
	install(f.Revision)
	return e, nil
}

// At gives an engine that answers by what is in force in this one now, as if the
// clock stood at a moment. It shares what is remembered with this one.
func (e *Engine) At(now time.Time) *Engine {
	o := e.options
	o.Clock = func() time.Time { return now }
	at := &Engine{options: o, memory: e.memory, fetches: e.fetches, timeout: e.timeout, loaded: e.loaded}
	at.snapshots.Store(e.snapshots.Load())
	return at
}
