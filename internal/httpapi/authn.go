package httpapi

import (
	"errors"
	"math/rand/v2"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// errPanic stands in the log for a panic whose cause was logged before.
var errPanic = errors.New("panic")

// authenticate finds out who is calling, where the route wants to know. What
// the caller may do is decided by the services.
func (c *call) authenticate() error {
	if c.route.sameSite {
		return c.fromHere(false)
	}
	if c.route.need == "" {
		return nil
	}
	if secret, err := c.cookie(); secret != "" || err != nil {
		if err != nil {
			return err
		}
		return c.bySession(secret)
	}
	if c.route.need == needSession {
		return service.ErrSignedOut
	}
	text, ok := c.key()
	if !ok {
		return service.ErrUnauthenticated
	}
	caller, err := c.api.o.Keys.Authenticate(text)
	if err != nil {
		return err
	}
	c.caller = caller
	c.caller.RequestID = c.id
	return nil
}

const bearer = "Bearer "

// key gives the text of the API key. A request that carries two is refused:
// whoever stands between us and the client could read it differently.
func (c *call) key() (string, bool) {
	h := c.g.Request.Header
	authorization, plain := h["Authorization"], h["X-Api-Key"]
	switch {
	case len(authorization) == 1 && len(plain) == 0:
		text := authorization[0]
		if len(text) <= len(bearer) || !strings.EqualFold(text[:len(bearer)], bearer) {
			return "", false
		}
		return text[len(bearer):], true
	case len(plain) == 1 && len(authorization) == 0:
		return plain[0], true
	}
	return "", false
}

const maxRequestID = 128

// requestID takes over the id that the client gave, if it can stand in a log
// as it is, and makes one otherwise.
func requestID(given []string) string {
	if len(given) == 1 && printable(given[0]) {
		return given[0]
	}
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	var id [26]byte
	for i := 0; i < len(id); i += 13 {
		for n, j := rand.Uint64(), i; j < i+13; j++ { //nolint:gosec // 64 bits, 13 digits: a name to find a line by, no secret
			id[j], n = digits[n&31], n>>5
		}
	}
	return string(id[:])
}

func printable(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// jsonContent refuses a body that does not say that it is JSON: browsers send
// other types across sites without asking first.
func (c *call) jsonContent() error {
	given := c.g.Request.Header["Content-Type"]
	if len(given) == 1 && isJSON(given[0]) {
		return nil
	}
	if c.route.authzen { // the standard wants 400
		return access.Invalid("Content-Type", "must be application/json")
	}
	return &access.Error{Kind: errContentType, Field: "Content-Type", Message: "must be application/json"}
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	kind, parameters, _ := strings.Cut(contentType, ";")
	charset := strings.ReplaceAll(strings.TrimSpace(parameters), `"`, "")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json") &&
		(charset == "" || strings.EqualFold(charset, "charset=utf-8"))
}
