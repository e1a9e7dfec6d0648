package cache

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
	"time"
)

// value is an answer as it is kept.
type value struct {
	at    time.Time // when it was given, by the clock of who gave it
	until time.Time // when a time-limited fact may change it; zero: never
	body  string    // the answer itself, encoded
}

// holds tells whether the value is an answer at the moment now. Wall clocks are
// compared, as the facts are: on a replica whose clock is behind, what began to
// hold a moment ago elsewhere does not hold yet.
func (v *value) holds(now time.Time) bool {
	now = now.Round(0)
	return !now.Before(v.at.Round(0)) && (v.until.IsZero() || now.Before(v.until))
}

// seals makes values such that nobody without the secret can make, change or
// move one: a value names its own key, and a MAC stands over all of it.
type seals struct{ pool sync.Pool }

func newSeals(secret []byte) *seals {
	return &seals{pool: sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

// seal writes a value for the place k.
func (s *seals) seal(k key, v value) []byte {
	e := encoding{bytes: make([]byte, 0, 1+len(k)+32+len(v.body)+sha256.Size)}
	e.tag(encodingVersion)
	e.bytes = append(e.bytes, k[:]...)
	e.moment(v.at)
	e.moment(v.until)
	e.bytes = append(e.bytes, v.body...)
	return s.mac(e.bytes, e.bytes)
}

// open reads what was found in the place k. Whatever seal did not write for
// that place is refused; of what it did, nothing is refused.
func (s *seals) open(k key, found string) (value, bool) {
	end := len(found) - sha256.Size
	if end < 0 {
		return value{}, false
	}
	var mac [sha256.Size]byte
	if !hmac.Equal([]byte(found[end:]), s.mac(mac[:0], []byte(found[:end]))) {
		return value{}, false
	}
	r := reading{rest: found[:end]}
	if r.octet() != encodingVersion || r.take(uint64(len(k))) != string(k[:]) {
		return value{}, false
	}
	v := value{at: r.moment(), until: r.moment(), body: r.rest}
	return v, !r.wrong
}

// mac appends the MAC over sealed to b.
func (s *seals) mac(b, sealed []byte) []byte {
	h := s.pool.Get().(hash.Hash) //nolint:forcetypeassert // nothing else is in this pool
	defer s.pool.Put(h)
	h.Reset()
	_, _ = h.Write(sealed) // never fails
	return h.Sum(b)
}
