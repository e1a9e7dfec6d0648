package main

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// paper is a storage of one policy that was read from files: it can be asked
// about, and cannot be changed. Its revision is 0, which means "not stored".
type paper struct {
	service.AccountStore // none: nobody signs in to files

	facts access.Facts
	keys  []access.APIKey
}

var errNoHistory = access.Invalid("as_of", "policy files have no history")

var errPaper = errors.New("policy files cannot be changed through the API")

func (p *paper) Heads(context.Context) (map[string]access.Head, error) {
	return map[string]access.Head{p.facts.Tenant: {}}, nil
}

func (p *paper) Load(context.Context, string) (access.Facts, error) { return p.facts, nil }

func (p *paper) Changes(context.Context, string, access.Revision) (access.Delta, error) {
	return access.Delta{Tenant: p.facts.Tenant}, nil
}

func (p *paper) Subjects(context.Context, string, []string) ([]access.SubjectFacts, error) {
	return nil, errPaper // never asked: all users are in the facts
}

func (p *paper) Users(context.Context, string, string, int) ([]access.SubjectFacts, error) {
	return nil, errPaper
}

func (p *paper) StateAt(context.Context, string, access.AsOf) (access.State, error) {
	return access.State{}, errNoHistory
}

func (p *paper) LoadAt(context.Context, string, access.Revision) (access.Facts, error) {
	return access.Facts{}, errNoHistory
}

func (p *paper) History(context.Context, string, access.HistorySearch) (access.FoundVersions, error) {
	return access.FoundVersions{}, nil
}

func (p *paper) Revision(context.Context, string, access.Revision) (access.Version, error) {
	return access.Version{}, errNoHistory
}

func (p *paper) Operations(context.Context, string, access.Revision, access.Revision) ([]access.Operation, error) {
	return nil, errNoHistory
}

func (p *paper) Made(context.Context, string, access.Revision, []access.Rule) ([]access.RevisionEntry, error) {
	return nil, errNoHistory
}

func (p *paper) Change(context.Context, string, access.Revision) (before, after *access.Policy, head access.Revision, err error) {
	return nil, nil, 0, errNoHistory
}

func (p *paper) UsersSince(context.Context, string, access.Revision) ([]string, error) {
	return nil, errNoHistory
}

func (p *paper) ViewAt(context.Context, string, access.Revision, func(access.Reading) error) error {
	return errNoHistory
}

func (p *paper) FindUsersAt(context.Context, string, access.Revision, access.UserSearch) (access.FoundUsers, error) {
	return access.FoundUsers{}, errNoHistory
}

func (p *paper) Then(access.Revision) *store.Then { return nil } // there are no facts to ask with

func (p *paper) Expire(context.Context, string, time.Time) (access.Delta, error) {
	return access.Delta{}, nil
}

func (p *paper) Purge(context.Context, string, time.Time) (access.Delta, error) {
	return access.Delta{}, nil
}

// Secret is shared with nobody, and asked for once.
func (p *paper) Secret(context.Context) ([]byte, error) { return []byte(rand.Text()), nil }

func (p *paper) Keys(context.Context) ([]access.APIKey, error) { return p.keys, nil }

func (p *paper) AddKey(_ context.Context, k access.APIKey, _ access.Change) error {
	p.keys = append(p.keys, k)
	return nil
}

func (p *paper) RevokeKey(context.Context, string, string, access.Change) error { return errPaper }

func (p *paper) Replace(context.Context, *access.Policy, access.Change, func(access.Reading, access.Delta) error) (access.Delta, error) {
	return access.Delta{}, errPaper
}

func (p *paper) Found(context.Context, *access.Policy, access.Change) (access.Revision, error) {
	return 0, errPaper
}

func (p *paper) CreateTenant(context.Context, access.Tenant, access.Change) (access.Revision, error) {
	return 0, errPaper
}

func (p *paper) View(context.Context, string, func(access.Reading) error) error { return errPaper }

func (p *paper) Account(context.Context, string, string) (access.User, error) {
	return access.User{}, errPaper
}

func (p *paper) MailsTo(context.Context, string, access.MailPurpose, []string) (map[string]access.Mail, error) {
	return nil, errPaper
}

func (p *paper) FindUsers(context.Context, string, access.UserSearch) (access.FoundUsers, error) {
	return access.FoundUsers{}, errPaper
}

func (p *paper) Edit(context.Context, string, access.Change, func(access.Draft) error, func(access.Delta) error) (access.Delta, error) {
	return access.Delta{}, errPaper
}

func (p *paper) Tenants(context.Context) ([]access.Tenant, error) {
	return []access.Tenant{{Code: p.facts.Tenant}}, nil
}

func (p *paper) Revisions(context.Context, string) ([]access.RevisionEntry, error) { return nil, nil }

func (p *paper) KeepRefusals(context.Context, []access.RefusedAttempt) error { return errPaper }

func (p *paper) ForgetRefusals(context.Context, time.Time, int) (bool, error) { return true, nil }

func (p *paper) Refusals(context.Context, string, access.RefusalSearch) ([]access.RefusedAttempt, error) {
	return nil, nil
}
