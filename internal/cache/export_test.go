package cache

import (
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// EncodeQuestion gives what the key of a decision is a hash of.
func EncodeQuestion(at access.Stamp, r *access.Request) ([]byte, bool) {
	e := encoding{}
	e.question(sortDecision, at, r, nil)
	return e.bytes, !e.strange
}

// Place is where an answer stands.
type Place = key

// Key gives the key of a decision under a secret.
func Key(secret string, at access.Stamp, r *access.Request) (Place, bool) {
	return newKeys([]byte(secret)).of(sortDecision, at, r)
}

// EncodeDecision and DecodeDecision are the two directions of a kept decision;
// so are those for the answers of searches.
func EncodeDecision(d access.Decision) string { return encoded(decisions, d) }

func DecodeDecision(body string) (access.Decision, bool) { return decoded(decisions, body) }

func EncodeMenu(m access.Menu) string { return encoded(menus, m) }

func DecodeMenu(body string) (access.Menu, bool) { return decoded(menus, body) }

func EncodeHolders(h access.Holders) string { return encoded(holders, h) }

func DecodeHolders(body string) (access.Holders, bool) { return decoded(holders, body) }

func encoded[T any](kind answers[T], answer T) string {
	e := encoding{}
	kind.write(&e, &answer)
	return string(e.bytes)
}

func decoded[T any](kind answers[T], body string) (T, bool) {
	r := reading{rest: body}
	answer := kind.read(&r)
	return answer, r.end()
}

// Seal writes a value as a replica with the secret does.
func Seal(secret string, place Place, at, until time.Time, body string) string {
	return string(newSeals([]byte(secret)).seal(place, value{at: at, until: until, body: body}))
}

// Open reads a value that was found in a place.
func Open(secret string, place Place, found string) (body string, ok bool) {
	v, ok := newSeals([]byte(secret)).open(place, found)
	return v.body, ok
}

// Flush waits until what was handed over to be written has been written, or
// could not be.
func (r *Redis) Flush() {
	for r.waiting.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}
