package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Bounds hold before a request reaches a route. What is zero has the value
// named behind it.
type Bounds struct {
	Head       int           // bytes of the request line and the headers: 64 KiB
	ReadHeader time.Duration // until the head of a request is there: 5 s
	Read       time.Duration // until the request is there: 10 s
	Answer     time.Duration // for an answer: 3 s, and more where a route says so
	Write      time.Duration // until the answer is sent: 30 s
	Idle       time.Duration // that an idle connection is kept: 60 s
	Drain      time.Duration // for requests under way when Serve is to end: 10 s
}

const (
	maxHead = 64 << 10
	// slop is what net/http lets through beyond MaxHeaderBytes.
	slop = 4096
)

func (b Bounds) filled() Bounds {
	return Bounds{
		Head:       cmp.Or(b.Head, maxHead),
		ReadHeader: cmp.Or(b.ReadHeader, 5*time.Second),
		Read:       cmp.Or(b.Read, 10*time.Second),
		Write:      cmp.Or(b.Write, 30*time.Second),
		Idle:       cmp.Or(b.Idle, 60*time.Second),
		Drain:      cmp.Or(b.Drain, 10*time.Second),
	}
}

// Server answers HTTP.
type Server struct {
	door  *door
	http  *http.Server
	drain time.Duration
}

// NewServer makes a server that is not listening yet.
func NewServer(o Options) (*Server, error) {
	d, err := newDoor(o)
	if err != nil {
		return nil, err
	}
	bounds := o.Bounds.filled()
	return &Server{door: d, drain: bounds.Drain, http: &http.Server{
		Handler:           d.gin,
		ReadHeaderTimeout: bounds.ReadHeader,
		ReadTimeout:       bounds.Read,
		WriteTimeout:      bounds.Write,
		IdleTimeout:       bounds.Idle,
		MaxHeaderBytes:    max(1, bounds.Head-slop),
		ErrorLog:          slog.NewLogLogger(d.o.Log.Handler(), slog.LevelWarn),
	}}, nil
}

// Handler gives the API without its listener, for instance for tests.
func (s *Server) Handler() http.Handler { return s.door.gin }

// Metrics gives the page of measurements, for a listener of its own.
func (s *Server) Metrics() http.Handler { return s.door.metrics.page }

// Serve answers until ctx ends; then it says so in /readyz, finishes the
// requests that have begun, and returns. It gives an error when it could not
// listen, or could not finish within Bounds.Drain.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if s.door.o.PublicURL == "" {
		s.door.setPublicURL("http://" + l.Addr().String())
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- s.shutdown() })
	err := s.http.Serve(l)
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func (s *Server) shutdown() error {
	s.door.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	return s.http.Shutdown(ctx)
}
