package service

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Searcher finds everything that would be allowed if it were asked one by one.
type Searcher interface {
	SearchActions(ctx context.Context, tenant string, r *access.Request) (access.Menu, error)
	SearchSections(ctx context.Context, tenant string, r *access.Request) (access.Menu, error)
	SearchSubjects(ctx context.Context, tenant string, s *access.SubjectSearch) (access.Holders, error)
}

// The sizes of a page.
const (
	DefaultPage = 50
	MaxPage     = 1000
)

// Page says which part of a long answer is wanted. Its zero value is the first
// part of usual size.
type Page struct {
	Size  int    // DefaultPage when 0; more than MaxPage is refused
	Token string // as it came with the part before
}

// SearchActions finds what the subject of a request may do in its section. A
// key that may ask may search so: it finds nothing that it could not ask.
func (d *Decisions) SearchActions(ctx context.Context, caller access.Caller, tenant string, r *access.Request, want access.Consistency) (access.Menu, error) {
	if err := d.open(ctx, caller, tenant, want, r); err != nil {
		return access.Menu{}, err
	}
	menu, err := d.decider.SearchActions(ctx, tenant, r)
	if err != nil {
		return access.Menu{}, d.explained(tenant, err)
	}
	return menu, nil
}

// SearchSections finds the sections in which the subject of a request may do
// all its actions, or without actions everything that it may do anywhere. It
// needs what SearchActions needs.
func (d *Decisions) SearchSections(ctx context.Context, caller access.Caller, tenant string, r *access.Request, want access.Consistency) (access.Menu, error) {
	if err := d.open(ctx, caller, tenant, want, r); err != nil {
		return access.Menu{}, err
	}
	menu, err := d.decider.SearchSections(ctx, tenant, r)
	if err != nil {
		return access.Menu{}, d.explained(tenant, err)
	}
	return menu, nil
}

// SearchSubjects finds a page of those who may do what a request asks, and the
// token of the next page, or "" behind the last. It lists people, whom a key
// that merely asks must already know by name, so it needs a key of kind read, or
// of people the right to look at users. Who may look at some of them only finds
// those, so that a page may be shorter than was asked for.
//
// A token continues the very search it came from, at the same revision: after
// a change the pages would not fit together, and the error is of kind
// ErrStale. Each page is judged at its own moment.
func (d *Decisions) SearchSubjects(ctx context.Context, caller access.Caller, tenant string, r *access.Request, kind string, p Page, want access.Consistency) (access.Holders, string, error) {
	none := access.Holders{}
	in, err := d.authority.Allow(ctx, caller, tenant, Need{Part: "Users", Action: "show"})
	if err != nil {
		return none, "", err
	}
	if err := d.satisfy(ctx, tenant, want); err != nil {
		return none, "", err
	}
	search := access.SubjectSearch{Request: *r, Type: kind, Most: p.Size}
	if p.Size == 0 {
		search.Most = DefaultPage
	}
	if search.Most < 1 || search.Most > MaxPage {
		return none, "", access.Invalid("page_size", "must be 1 to %d", MaxPage)
	}
	query, err := queryOf(tenant, &search)
	if err != nil {
		return none, "", err
	}
	at, err := d.pages.open(p.Token, query)
	if err != nil {
		return none, "", err
	}
	search.After = at.after
	found, err := d.decider.SearchSubjects(ctx, tenant, &search)
	if err != nil {
		return none, "", d.explained(tenant, err)
	}
	if p.Token != "" && at.revision != found.Revision {
		return none, "", stalePage(at.revision, found.Revision)
	}
	next := ""
	if found.More {
		last := found.Subjects[len(found.Subjects)-1]
		next = d.pages.seal(place{revision: found.Revision, after: last}, query)
	}
	found.Subjects, err = d.within(ctx, tenant, in, found)
	return found, next, err
}

// within leaves out whom the caller is not shown.
func (d *Decisions) within(ctx context.Context, tenant string, in Reach, found access.Holders) ([]access.Subject, error) {
	if in.Everywhere {
		return found.Subjects, nil
	}
	sees, err := d.authority.sees(ctx, tenant, in)
	if err != nil {
		return nil, err
	}
	var shown []access.Subject
	for _, who := range found.Subjects {
		ok, err := sees(who.Rule())
		if err != nil {
			return nil, err
		}
		if ok {
			shown = append(shown, who)
		}
	}
	return shown, nil
}

func stalePage(then, now access.Revision) error {
	return &access.Error{Kind: access.ErrStale, Field: "page_token", Message: fmt.Sprintf(
		"comes from revision %d, and revision %d is in force now; begin again without it", then, now)}
}

// queryOf is a hash of everything that a search asks. A page may be of another
// size than the one before.
func queryOf(tenant string, s *access.SubjectSearch) ([]byte, error) {
	r := s.Request
	r.Subject = access.Subject{}
	text, err := json.Marshal([]any{tenant, s.Type, r}) // members of maps come in order
	if err != nil {
		return nil, access.Invalid("context", "holds what JSON cannot")
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// place is where a page ended.
type place struct {
	revision access.Revision
	after    access.Subject
}

// pages seals places into tokens. The key is made when the process starts: a
// token is good for as long as this process lives, and for it alone.
type pages struct{ key [32]byte }

func newPages() *pages {
	p := &pages{}
	_, _ = rand.Read(p.key[:]) // it never fails, by its own promise
	return p
}

const macBytes = 16

// seal writes a token: a MAC, the revision and the subject, and only in the MAC
// the query.
func (p *pages) seal(at place, query []byte) string {
	body := binary.BigEndian.AppendUint64(nil, uint64(at.revision))
	body = append(body, at.after.Rule()...)
	return base64.RawURLEncoding.EncodeToString(slices.Concat(p.mac(body, query), body))
}

// open reads a token, and refuses everything that seal did not write for the
// same query.
func (p *pages) open(token string, query []byte) (place, error) {
	if token == "" {
		return place{}, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < macBytes+8 {
		return place{}, errPageToken
	}
	mac, body := raw[:macBytes], raw[macBytes:]
	if !hmac.Equal(mac, p.mac(body, query)) {
		return place{}, errPageToken
	}
	kind, id, ok := access.ParseName(string(body[8:]))
	if !ok {
		return place{}, errPageToken
	}
	return place{
		revision: access.Revision(binary.BigEndian.Uint64(body)),
		after:    access.Subject{Kind: kind, ID: id},
	}, nil
}

var errPageToken = access.Invalid("page_token", "does not belong to this search and this server process; begin again without it")

func (p *pages) mac(body, query []byte) []byte {
	h := hmac.New(sha256.New, p.key[:])
	h.Write(query) // of fixed length, so the two cannot run into each other
	h.Write(body)
	return h.Sum(nil)[:macBytes]
}
