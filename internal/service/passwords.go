package service

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/bailiwick/bailiwick/internal/access"
)

// HashingOptions say how much work a password is. The zero value works.
type HashingOptions struct {
	Memory uint32 // KiB; 19456 when 0
	Passes uint32 // 2 when 0
	AtOnce int    // hashes that are made at one time; 4 when 0
	Queue  int    // that wait for their turn; 64 when 0
}

// What hashes that are read back may ask for at most: the database must not be
// able to make us spend everything.
const (
	mostMemory = 1 << 20 // KiB
	mostPasses = 64
	saltLen    = 16
	sumLen     = 32
)

// hasher makes and compares argon2id hashes, a few at a time.
type hasher struct {
	memory, passes uint32
	running        chan struct{}
	waiting        chan struct{}
	nobody         string // takes the place of a hash that is not there
}

func newHasher(o HashingOptions) *hasher {
	fill := func(n *int, otherwise int) {
		if *n == 0 {
			*n = otherwise
		}
	}
	fill(&o.AtOnce, 4)
	fill(&o.Queue, 64)
	h := &hasher{memory: o.Memory, passes: o.Passes, running: make(chan struct{}, o.AtOnce), waiting: make(chan struct{}, o.AtOnce+o.Queue)}
	if h.memory == 0 {
		h.memory = 19 << 10
	}
	if h.passes == 0 {
		h.passes = 2
	}
	h.nobody = strings.Join([]string{h.parameters(), b64(make([]byte, saltLen)), b64(make([]byte, sumLen))}, "$")
	return h
}

func b64(b []byte) string { return base64.RawStdEncoding.EncodeToString(b) }

func (h *hasher) parameters() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1", argon2.Version, h.memory, h.passes)
}

// turn waits for a place among those that hash. The function that it gives
// leaves it.
func (h *hasher) turn(ctx context.Context) (leave func(), err error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, &TooMany{After: time.Second, Why: "too many sign in at one time"}
	}
	select {
	case h.running <- struct{}{}:
		return func() { <-h.running; <-h.waiting }, nil
	case <-ctx.Done():
		<-h.waiting
		return nil, ctx.Err()
	}
}

// hash gives what is kept of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.turn(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	var salt [saltLen]byte
	_, _ = rand.Read(salt[:]) // never fails: crypto/rand ends the program instead
	sum := argon2.IDKey([]byte(password), salt[:], h.passes, h.memory, 1, sumLen)
	return strings.Join([]string{h.parameters(), b64(salt[:]), b64(sum)}, "$"), nil
}

// same tells whether a hash is that of a password. Where there is no hash it
// takes as long to say no.
func (h *hasher) same(ctx context.Context, kept, password string) (bool, error) {
	there := kept != ""
	if !there {
		kept = h.nobody
	}
	p, err := parseHash(kept)
	if err != nil {
		return false, err
	}
	leave, err := h.turn(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	sum := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, sumLen)
	return subtle.ConstantTimeCompare(sum, p.sum) == 1 && there, nil
}

// weaker tells whether a hash took less work than one would now.
func (h *hasher) weaker(kept string) bool {
	p, err := parseHash(kept)
	return err == nil && (p.memory < h.memory || p.passes < h.passes)
}

// hashed is a hash, taken apart.
type hashed struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

func parseHash(kept string) (h hashed, err error) {
	var version int
	parts := strings.Split(kept, "$")
	wrong := access.Invalid("password", "the stored hash cannot be understood")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return h, wrong
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &h.memory, &h.passes, &h.lanes); err != nil || version != argon2.Version {
		return h, wrong
	}
	if h.memory == 0 || h.memory > mostMemory || h.passes == 0 || h.passes > mostPasses || h.lanes == 0 {
		return h, wrong
	}
	h.salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	if err == nil {
		h.sum, err = base64.RawStdEncoding.DecodeString(parts[5])
	}
	if err != nil || len(h.salt) < 8 || len(h.sum) != sumLen {
		return h, wrong
	}
	return h, nil
}
