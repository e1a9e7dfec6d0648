package httpapi

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// errMade: the change was made before, and its answer is not there any more.
var errMade = fmt.Errorf("made before: %w", access.ErrExists)

const maxOnceKey = 255 // bytes of an Idempotency-Key

// once tells whether a route takes an Idempotency-Key. What shows a secret
// cannot be answered twice, since the secret is kept nowhere.
func (r *route) once() bool {
	return r.change && r.method == http.MethodPost && !r.keyless && r.need != needSession && r.closedQuery()
}

func keyless(r route) route {
	r.keyless = true
	return r
}

// onlyOnce reads Idempotency-Key, and begins to take a hash of the body.
func (c *call) onlyOnce() error {
	keys := c.g.Request.Header["Idempotency-Key"]
	if len(keys) == 0 || !c.route.change {
		return nil
	}
	if !c.route.once() {
		return access.Invalid("Idempotency-Key", "is not for this path: it is for a POST that matters how often it is made, and whose answer shows no secret")
	}
	if len(keys) > 1 || len(keys[0]) > maxOnceKey || !printable(keys[0][:min(len(keys[0]), maxRequestID)]) || !printable(keys[0][max(0, len(keys[0])-maxRequestID):]) {
		return access.Invalid("Idempotency-Key", "must be one text of 1 to %d printable characters", maxOnceKey)
	}
	request, path := c.g.Request, c.g.Request.Method+" "+c.g.Request.URL.EscapedPath()
	c.once = &access.Once{
		ID:     hashed(c.caller.Name, c.caller.Tenant, c.tenant, path, keys[0]),
		Caller: hashed(c.caller.Name, c.caller.Tenant, c.tenant),
	}
	c.body = sha256.New()
	c.body.Write([]byte(request.URL.RawQuery + "\n"))
	request.Body = &heard{request.Body, c.body}
	return nil
}

// hashed is a hash over texts, each with its length in front.
func hashed(texts ...string) (sum [32]byte) {
	h := sha256.New()
	for _, text := range texts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	h.Sum(sum[:0])
	return sum
}

// heard is a body that a hash is taken of while it is read.
type heard struct {
	io.ReadCloser
	hash hash.Hash
}

func (b *heard) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	return n, err
}

// atMostOnce gives what makes a change happen at most once; nil where the
// client does not ask for that. The body has been read.
func (c *call) atMostOnce() *access.Once {
	if c.once != nil {
		c.body.Sum(c.once.Request[:0])
	}
	return c.once
}

// made makes a change and answers with what it has made: T, of which the service
// leaves the same in the change, so that the answer can be kept with it.
func made[T, W any](c *call, status int, change access.Change, do func(access.Change) (T, access.Revision, error), wire func(*T, access.Revision) W) error {
	if change.Once != nil {
		change.Once.Settle = func(made any, at access.Revision) (access.Answer, error) {
			v, some := made.(*T)
			if _, none := any(v).(*noThing); none {
				v, some = new(T), true
			}
			if !some { // the service does not say what it makes
				return access.Answer{}, nil
			}
			w := wire(v, at)
			body, err := marshal(w)
			return access.Answer{Status: status, Tag: c.tagOf(w), Body: body}, err
		}
	}
	v, at, err := do(change)
	if err != nil {
		return err
	}
	return c.reply(status, wire(&v, at))
}

// noThing is made by changes of which nothing but the revision is told.
type noThing struct{}

// alone is made for a change of which nothing but the revision is told.
func (c *call) alone(change access.Change, do func(access.Change) (access.Revision, error)) error {
	return made(c, http.StatusOK, change, func(change access.Change) (noThing, access.Revision, error) {
		at, err := do(change)
		return noThing{}, at, err
	}, func(_ *noThing, at access.Revision) api.DirectoryChanged {
		return api.DirectoryChanged{Revision: uint64(at)}
	})
}

// repeat answers a change that was made before as it was answered then.
func (c *call) repeat(r *access.Repeated) error {
	if r.Answer.Status == 0 {
		return &access.Error{Kind: errMade, Message: "this change was made before, as revision " + itoa(int64(r.Revision)) + ", and its answer is not kept; read what is there"} //nolint:gosec // revisions are counted
	}
	h := c.g.Writer.Header()
	h["Idempotency-Replayed"] = []string{"true"}
	if r.Answer.Tag != "" {
		c.tell(r.Answer.Tag)
	}
	return c.answer(r.Answer.Status, r.Answer.Body)
}
