package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/gin-gonic/gin"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/store"
)

// The same body as gin programs usually declare it.
type ginRequest struct {
	Subject  string `json:"subject"`
	Action   string `json:"action"`
	Section  string `json:"section"`
	Scope    string `json:"scope"`
	Resource struct {
		Type       string         `json:"type"`
		ID         string         `json:"id"`
		Attributes map[string]any `json:"attributes"`
	} `json:"resource"`
}

type ginBatch struct {
	Requests []ginRequest `json:"requests"`
}

type ginDecision struct {
	Decision bool `json:"decision"`
}

type ginDecisions struct {
	Decisions []ginDecision `json:"decisions"`
}

// runGin is the child that serves with gin until it is told to stop: a
// constant, or with rules what stock Casbin says.
func runGin(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("gin: want the number of rules, 0 for a constant")
	}
	rules, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	handler := bareGin()
	if rules > 0 {
		if handler, err = ginWithStock(rules, runtime.GOMAXPROCS(0)); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // ends with Close
	fmt.Fprintln(out, l.Addr())
	<-ctx.Done()
	return server.Close()
}

// bareGin binds the body and answers a constant: it decides nothing.
func bareGin() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	all := ginDecisions{Decisions: make([]ginDecision, batchSize)}
	g.POST("/v1/enforce", func(c *gin.Context) {
		var r ginRequest
		if err := c.ShouldBindJSON(&r); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusOK, ginDecision{true})
	})
	g.POST("/v1/enforce/batch", func(c *gin.Context) {
		var r ginBatch
		if err := c.ShouldBindJSON(&r); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusOK, all)
	})
	return g
}

// ginWithStock puts each question to one of n stock enforcers, which have seen
// all questions before.
func ginWithStock(rules, n int) (http.Handler, error) {
	own := shapes[len(shapes)-1]
	free := make(chan func(access.Request) (bool, error), n)
	for range n {
		ask, err := stockCasbin(own.facts(rules))
		if err != nil {
			return nil, err
		}
		for i := range variety {
			if _, err := ask(own.ask(rules, i)); err != nil {
				return nil, err
			}
		}
		free <- ask
	}
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.POST("/v1/enforce", func(c *gin.Context) {
		var r ginRequest
		if err := c.ShouldBindJSON(&r); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		subject, err := access.ParseSubject("subject", r.Subject)
		if err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		ask := <-free
		allowed, err := ask(access.Request{
			Subject: subject, Actions: []access.Action{access.Action(r.Action)},
			Section: access.Section(r.Section), Scope: access.Scope(r.Scope),
		})
		free <- ask
		if err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.JSON(http.StatusOK, ginDecision{allowed})
	})
	return g, nil
}

// runAdapter is the child that loads stock Casbin from a database by
// gorm-adapter, and says when it is done.
func runAdapter(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("adapter: want DRIVER DSN")
	}
	s, err := store.Open(ctx, (&database{driver: args[0], dsn: args[1]}).options())
	if err != nil {
		return err
	}
	defer s.Close()
	a, err := s.CasbinAdapter(ctx, access.DefaultTenant)
	if err != nil {
		return err
	}
	m, err := model.NewModelFromString(engine.Model(access.DenyOverrides))
	if err != nil {
		return err
	}
	if _, err := casbin.NewEnforcer(m, a); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "loaded")
	return err
}
