package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// The limits of the server, which hold before a request reaches a route.
const (
	maxHead = 64 << 10 // bytes of the request line and the headers
	// slop is what net/http lets through beyond MaxHeaderBytes.
	slop = 4096

	headerTime = 5 * time.Second
	readTime   = 10 * time.Second
	writeTime  = 30 * time.Second
	idleTime   = 60 * time.Second
	drainTime  = 10 * time.Second
)

// Server answers HTTP.
type Server struct {
	door *door
	http *http.Server
}

// NewServer makes a server that is not listening yet.
func NewServer(o Options) (*Server, error) {
	d, err := newDoor(o)
	if err != nil {
		return nil, err
	}
	return &Server{door: d, http: &http.Server{
		Handler:           d.gin,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHead - slop,
		ErrorLog:          slog.NewLogLogger(d.o.Log.Handler(), slog.LevelWarn),
	}}, nil
}

// Handler gives the API without its listener, for instance for tests.
func (s *Server) Handler() http.Handler { return s.door.gin }

// Metrics gives the page of measurements, for a listener of its own.
func (s *Server) Metrics() http.Handler { return s.door.metrics.page }

// Serve answers until ctx ends; then it says so in /readyz, finishes the
// requests that have begun, and returns. It gives an error when it could not
// listen, or could not finish within 10 s.
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
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	return s.http.Shutdown(ctx)
}
