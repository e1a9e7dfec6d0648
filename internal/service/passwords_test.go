package service_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/bailiwick/bailiwick/internal/service"
)

const password = "correct horse battery staple"

// TestHasher_flood: however many sign in at once, only a few hashes are in
// memory, a bounded number waits, and the others are told to come again.
func TestHasher_flood(t *testing.T) {
	h := service.NewHasher(service.HashingOptions{AtOnce: 2, Queue: 3})
	var leave []func()
	for range 2 {
		done, err := h.Turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, done)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	var let, gaveUp atomic.Int32
	for range 3 {
		waiting.Go(func() {
			done, err := h.Turn(ctx)
			if err == nil {
				let.Add(1)
				done()
			} else if errors.Is(err, context.Canceled) {
				gaveUp.Add(1)
			}
		})
	}
	for h.Waiting() < 5 {
		runtime.Gosched()
		if t.Context().Err() != nil {
			t.Fatal("nobody waits")
		}
	}
	for range 100 {
		many := (*service.TooMany)(nil)
		if _, err := h.Hash(t.Context(), password); !errors.As(err, &many) || many.After <= 0 {
			t.Fatalf("the sixth one: %v", err)
		}
	}
	if n := let.Load(); n != 0 {
		t.Errorf("%d hash beside the two that may", n)
	}
	giveUp()
	waiting.Wait()
	if n := gaveUp.Load(); n != 3 {
		t.Errorf("%d of 3 gave up", n)
	}
	for _, done := range leave {
		done()
	}
	if _, err := h.Hash(t.Context(), password); err != nil || h.Waiting() != 0 {
		t.Errorf("afterwards: %v, %d places are taken", err, h.Waiting())
	}
}

// BenchmarkPassword hashes with the parameters in use, beside bcrypt at its usual
// cost. Of a flood only four hash at one time, which bounds its memory.
func BenchmarkPassword(b *testing.B) {
	b.Run("argon2id", func(b *testing.B) {
		h := service.NewHasher(service.HashingOptions{})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.Hash(b.Context(), password); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("argon2id, a flood of 60", func(b *testing.B) {
		h := service.NewHasher(service.HashingOptions{})
		for b.Loop() {
			var all sync.WaitGroup
			for range 60 {
				all.Go(func() {
					if _, err := h.Hash(b.Context(), password); err != nil {
						b.Error(err)
					}
				})
			}
			all.Wait()
		}
	})
	b.Run("bcrypt, cost 10", func(b *testing.B) {
		for b.Loop() {
			if _, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost); err != nil {
				b.Fatal(err)
			}
		}
	})
}
