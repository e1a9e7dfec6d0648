package access

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"hash/maphash"
	"slices"
	"strconv"
	"time"
)

// Checkpoint is a signed statement that a tenant's history was at a revision
// with a hash. Checkpoints of a tenant are numbered, and each holds the
// signature of the one before.
type Checkpoint struct {
	Tenant    string   `json:"tenant"`
	Number    int64    `json:"number"` // from 1
	Epoch     string   `json:"epoch"`
	Revision  Revision `json:"revision"`
	Hash      string   `json:"hash"`
	At        int64    `json:"at"`     // microseconds
	Before    string   `json:"before"` // signature of the checkpoint before; empty for the first
	Key       string   `json:"key"`    // see KeyName
	Signature string   `json:"signature"`
}

// signed is what is signed: every field with its length in front.
func (c *Checkpoint) signed() []byte {
	var b []byte
	for _, f := range []string{
		"bailiwick checkpoint 1", c.Tenant, strconv.FormatInt(c.Number, 10), c.Epoch, strconv.FormatUint(uint64(c.Revision), 10),
		c.Hash, strconv.FormatInt(c.At, 10), c.Before, c.Key,
	} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(f)))
		b = append(b, f...)
	}
	return b
}

// Sign fills in key and signature.
func (c *Checkpoint) Sign(key ed25519.PrivateKey) {
	c.Key = KeyName(key.Public().(ed25519.PublicKey)) //nolint:forcetypeassert // by its documentation
	c.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, c.signed()))
}

// SignedBy tells whether one of the keys has signed it.
func (c *Checkpoint) SignedBy(keys []ed25519.PublicKey) bool {
	signature, err := base64.StdEncoding.Strict().DecodeString(c.Signature)
	return err == nil && slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool {
		return KeyName(k) == c.Key && ed25519.Verify(k, c.signed(), signature)
	})
}

// KeyName is a short name of a public key.
func KeyName(k ed25519.PublicKey) string {
	sum := sha256.Sum256(k)
	return hex.EncodeToString(sum[:8])
}

// TrailLine is one line of a tenant's history written down in full: first the
// head, then each revision followed by its changes, the checkpoints, and the end.
type TrailLine struct {
	Kind string `json:"kind"` // head, revision, change, checkpoint, end

	Tenant   string   `json:"tenant,omitempty"`
	Epoch    string   `json:"epoch,omitempty"`
	Revision Revision `json:"revision,omitempty"`
	Parent   string   `json:"parent,omitempty"`
	Hash     string   `json:"hash,omitempty"`
	Author   string   `json:"author,omitempty"`
	Source   string   `json:"source,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	At       int64    `json:"at,omitempty"` // microseconds

	N    int64  `json:"n,omitempty"` // of a change, from 1
	Of   string `json:"of,omitempty"`
	Name string `json:"name,omitempty"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`

	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
}

// The kinds of lines.
const (
	TrailHead       = "head"
	TrailRevision   = "revision"
	TrailChange     = "change"
	TrailCheckpoint = "checkpoint"
	TrailEnd        = "end"
)

// TrailReport says what was found in a history.
type TrailReport struct {
	Tenant      string   `json:"tenant"`
	Epoch       string   `json:"epoch"`
	Revision    Revision `json:"revision"` // the newest
	Hash        string   `json:"hash"`     // of the newest
	Changes     int      `json:"changes"`
	Checkpoints int      `json:"checkpoints"`
	Signed      Revision `json:"signed"` // newest revision with a checkpoint that was signed by a known key
	Wrong       []string `json:"wrong,omitempty"`
}

// Trail goes through a history line by line, and finds what is not as it was
// written. It keeps the hashes of all revisions, 80 bytes each, and what was last
// said of each thing, 40 bytes.
type Trail struct {
	report TrailReport
	keys   []ed25519.PublicKey
	copied map[TrailRow][sha256.Size]byte
	known  map[Revision]string // hashes
	head   TrailLine
	now    TrailLine // the revision that is being read
	sum    hash.Hash // of it; nil before the first
	n      int64     // its last change
	last   Checkpoint
	epoch  string // the newest that a change has made
	ended  bool

	seed   maphash.Seed
	said   map[uint64]image // by what it is of
	broken map[Revision]bool
	odd    []string // changes of the revision that do not fit what was before them
}

// image is what a change has made of something, hashed.
type image struct {
	of    uint64
	where TrailRow
}

// TrailRow names a row of a history: a revision, or a change of it, from 1.
type TrailRow struct {
	Revision Revision
	N        int64
}

// Row is where a revision or a change stands.
func (l *TrailLine) Row() TrailRow { return TrailRow{l.Revision, l.N} }

// Digest is a hash of the line.
func (l *TrailLine) Digest() [sha256.Size]byte {
	text, _ := json.Marshal(l) //nolint:errchkjson // strings and numbers
	return sha256.Sum256(text)
}

// NewTrail judges signatures by these keys; without any it does not. Rows of an
// earlier copy, if there is one, must be as they were.
func NewTrail(keys []ed25519.PublicKey, copied map[TrailRow][sha256.Size]byte) *Trail {
	return &Trail{
		keys: keys, copied: copied, known: map[Revision]string{},
		seed: maphash.MakeSeed(), said: map[uint64]image{}, broken: map[Revision]bool{},
	}
}

// maxWrong bounds what is listed: where one thing is wrong, much that follows is.
const maxWrong = 20

func (t *Trail) wrong(format string, args ...any) {
	if len(t.report.Wrong) < maxWrong {
		t.report.Wrong = append(t.report.Wrong, fmt.Sprintf(format, args...))
	}
}

// Take looks at the next line.
func (t *Trail) Take(l TrailLine) {
	if t.ended {
		t.wrong("something follows the end")
		return
	}
	switch l.Kind {
	case TrailHead:
		if t.head.Kind != "" {
			t.wrong("there are two heads")
		}
		t.head = l
		t.report.Tenant, t.report.Epoch = l.Tenant, l.Epoch
	case TrailRevision:
		t.revision(l)
	case TrailChange:
		t.change(l)
	case TrailCheckpoint:
		t.finish()
		t.checkpoint(l.Checkpoint)
	case TrailEnd:
		t.finish()
		t.ended = true
		if l.Revision != t.now.Revision || l.Hash != t.now.Hash {
			t.wrong("the end is of another revision than %d", t.now.Revision)
		}
	default:
		t.wrong("there is a line of the unknown kind %q", l.Kind)
	}
}

func (t *Trail) revision(l TrailLine) {
	t.finish()
	if l.Revision != t.now.Revision+1 {
		t.wrong("revision %d is missing or out of order: %d follows %d", t.now.Revision+1, l.Revision, t.now.Revision)
	}
	if l.Parent != t.now.Hash {
		t.wrong("revision %d does not follow from the one before", l.Revision)
	}
	t.now, t.n, t.sum, t.odd = l, 0, sha256.New(), nil
	t.compare(&l, fmt.Sprintf("revision %d", l.Revision))
	t.add(t.head.Tenant, l.Parent, strconv.FormatUint(uint64(l.Revision), 10), l.Author, l.Source, l.Reason, strconv.FormatInt(l.At, 10))
	t.known[l.Revision] = l.Hash
}

func (t *Trail) change(l TrailLine) {
	if t.sum == nil || l.Revision != t.now.Revision {
		t.wrong("there is a change of revision %d, which is missing", l.Revision)
		return
	}
	t.report.Changes++
	if l.N != t.n+1 {
		t.wrong("change %d of revision %d is missing or out of order", t.n+1, l.Revision)
	}
	t.n = l.N
	t.compare(&l, l.change())
	t.follows(&l)
	t.add(strconv.FormatInt(l.N, 10), l.Of, l.Name, l.Old, l.New)
	if l.Of == "epoch" && json.Unmarshal([]byte(l.New), &t.epoch) != nil {
		t.wrong("change %d of revision %d makes no epoch", l.N, l.Revision)
	}
}

// change names one for people.
func (l *TrailLine) change() string {
	return fmt.Sprintf("change %d of revision %d (%s %q)", l.N, l.Revision, l.Of, l.Name)
}

// compare holds a row against the earlier copy.
func (t *Trail) compare(l *TrailLine, what string) {
	if was, ok := t.copied[l.Row()]; ok && was != l.Digest() {
		t.wrong("%s is not what the earlier copy has", what)
	}
}

// follows finds out which change of an edited revision may have been edited: each
// begins with what the one before it has made of the same thing.
func (t *Trail) follows(l *TrailLine) {
	thing := maphash.String(t.seed, l.Of+"\x00"+l.Name)
	was, known := t.said[thing]
	if known && l.Old != "" && was.of != maphash.String(t.seed, l.Old) {
		t.odd = append(t.odd, l.change())
		if t.broken[was.where.Revision] {
			t.wrong("%s found something else than change %d of revision %d has made: look at that one", l.change(), was.where.N, was.where.Revision)
		}
	}
	t.said[thing] = image{maphash.String(t.seed, l.New), l.Row()}
}

// add hashes fields as the store does when it writes a revision.
func (t *Trail) add(fields ...string) {
	for _, f := range fields {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(f)))
		t.sum.Write(length[:])
		t.sum.Write([]byte(f))
	}
}

// finish judges the revision that was read.
func (t *Trail) finish() {
	if t.sum == nil {
		return
	}
	if hex.EncodeToString(t.sum.Sum(nil)) != t.now.Hash {
		t.broken[t.now.Revision] = true
		t.wrong("revision %d is not what was written: its row, or one of its changes 1 to %d", t.now.Revision, t.n)
		for _, change := range t.odd {
			t.wrong("%s does not begin with what was there before: look at that one", change)
		}
	}
	if t.n == 0 {
		t.wrong("revision %d has no changes", t.now.Revision)
	}
	t.sum = nil
}

func (t *Trail) checkpoint(c *Checkpoint) {
	if c == nil {
		t.wrong("a checkpoint says nothing")
		return
	}
	t.report.Checkpoints++
	if c.Number != t.last.Number+1 || c.Before != t.last.Signature {
		t.wrong("checkpoint %d is missing or out of order: %d follows %d", t.last.Number+1, c.Number, t.last.Number)
	}
	t.last = *c
	switch {
	case c.Tenant != t.head.Tenant:
		t.wrong("checkpoint %d is of tenant %q", c.Number, c.Tenant)
	case len(t.keys) > 0 && !c.SignedBy(t.keys):
		t.wrong("checkpoint %d of revision %d was not signed by a key that is known here", c.Number, c.Revision)
		return
	case t.known[c.Revision] == "":
		t.wrong("revision %d of checkpoint %d is not there any more", c.Revision, c.Number)
	case t.known[c.Revision] != c.Hash:
		t.wrong("revision %d is another one than when checkpoint %d was signed, at %s", c.Revision, c.Number, time.UnixMicro(c.At).UTC().Format(time.RFC3339))
	case len(t.keys) > 0:
		t.report.Signed = max(t.report.Signed, c.Revision)
	}
}

// Holds compares the history with a state of it that was noted elsewhere.
func (t *Trail) Holds(was TrailReport) {
	if was.Tenant == t.report.Tenant && was.Revision > 0 && t.known[was.Revision] != was.Hash {
		t.wrong("revision %d is not what was noted of it elsewhere, or not there any more", was.Revision)
	}
}

// Done gives the report. Nothing may come after the end, and it must be there.
func (t *Trail) Done() TrailReport {
	t.finish()
	if !t.ended {
		t.wrong("the end is missing: it was cut off")
	}
	if t.head.Kind == "" {
		t.wrong("the head is missing")
	}
	if t.head.Revision != t.now.Revision {
		t.wrong("revision %d is missing: the tenant is at %d", t.now.Revision+1, t.head.Revision)
	}
	if epoch := cmp.Or(t.epoch, t.last.Epoch); epoch != "" && epoch != t.head.Epoch {
		t.wrong("the tenant is in another epoch than the history says")
	}
	t.report.Revision, t.report.Hash = t.now.Revision, t.now.Hash
	return t.report
}
