package store

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// write is one change of one tenant in the making: a transaction that holds the
// tenant's row.
type write struct {
	ctx      context.Context
	tx       *gorm.DB
	tenant   tenantRow // its fields except id, code and revision may be changed
	now      time.Time
	chunk    int    // how many rows a statement may carry
	resident int64  // users up to which a tenant is loaded with them
	byLine   string // makes a query find rules by their line
	packed   func(columns string) string
	changes  []changeRow
	judge    func(access.Delta) error // may refuse what is about to be committed; may be nil
	signer   *signer
	signed   access.Checkpoint // of the revision, where it could be signed
}

// tries bounds how often a write that lost a race is begun again.
const tries = 8

// commit is the one way to write. It locks the tenant's row first, so that
// writers of a tenant follow one another and revisions have no gaps; it refuses
// a change made for another revision than is there; it lets do change rows and
// records what do noted; all of it in one transaction. When do notes nothing,
// nothing is written; the answer is the difference between before and after.
func (s *Store) commit(ctx context.Context, c access.Change, lock func(*gorm.DB) (tenantRow, error), do func(*write) error) (access.Delta, error) {
	if err := s.usable(ctx); err != nil {
		return access.Delta{}, err
	}
	if err := checkChange(c); err != nil {
		return access.Delta{}, err
	}
	for try := 1; ; try++ {
		delta, err := s.attempt(ctx, c, lock, do)
		if err == nil || try == tries || !lostRace(err) {
			return delta, fault("commit", err)
		}
		select {
		case <-ctx.Done():
			return access.Delta{}, fault("commit", ctx.Err())
		case <-time.After(time.Duration(try) * 10 * time.Millisecond):
		}
	}
}

// errNothing rolls back a transaction that had nothing to do.
var errNothing = errors.New("nothing to write")

func (s *Store) attempt(ctx context.Context, c access.Change, lock func(*gorm.DB) (tenantRow, error), do func(*write) error) (delta access.Delta, err error) {
	ctx, step := span(ctx, "write transaction")
	defer func() { end(step, err) }()
	tx := s.db.WithContext(ctx).Begin()
	if tx.Error != nil {
		return access.Delta{}, tx.Error
	}
	ending := tx.Statement.ConnPool.(gorm.TxCommitter)
	defer func() { _ = ending.Rollback() }() // after a commit there is nothing to roll back
	delta, signed, err := s.fill(ctx, tx, c, lock, do)
	switch {
	case errors.Is(err, errNothing):
		return delta, nil
	case err != nil:
		return access.Delta{}, err
	case c.Rehearse:
		return delta, nil // rolled back
	}
	if err := within(ctx, ending.Commit); err != nil {
		return access.Delta{}, outcome(delta, err)
	}
	s.signer.keep(signed)
	return delta, nil
}

// fill does everything of a change but the commit.
func (s *Store) fill(ctx context.Context, tx *gorm.DB, c access.Change, lock func(*gorm.DB) (tenantRow, error), do func(*write) error) (delta access.Delta, signed access.Checkpoint, err error) {
	tenant, err := lock(tx)
	if again := s.repeated(tx, c.Once); again != nil {
		return delta, signed, again
	}
	if err != nil {
		return delta, signed, err
	}
	delta = newFold(tenant, tenant.Revision).delta
	if err := fresh(c.Base, tenant.Revision); err != nil {
		return delta, signed, err
	}
	w := &write{ctx: ctx, tx: tx, tenant: tenant, now: s.now(), chunk: s.chunk, resident: s.resident, byLine: s.byLine, packed: s.packed, signer: &s.signer}
	if err := do(w); err != nil {
		return delta, signed, err
	}
	if len(w.changes) == 0 {
		return delta, signed, w.nothing(c.Once)
	}
	delta, err = w.seal(c)
	if err == nil && w.judge != nil {
		err = w.judge(delta)
	}
	if err == nil {
		err = w.remember(c.Once, delta.To)
	}
	return delta, w.signed, err
}

// nothing ends a write that had nothing to do. That it was asked for is kept all
// the same where it must not be done later either.
func (w *write) nothing(once *access.Once) error {
	if once == nil {
		return errNothing
	}
	return w.remember(once, w.tenant.Revision)
}

// errSilent: the caller's time was over before the database answered COMMIT.
var errSilent = errors.New("the time was over before the database answered")

// within commits, and waits for it no longer than ctx lasts. The driver would: a
// COMMIT is on its way, and cannot be called back.
func within(ctx context.Context, commit func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- commit() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errSilent
	}
}

// outcome judges an error of COMMIT itself. Where the database has not said that
// it rolled back, and it was not for us that nothing was sent, the change may be
// there.
func outcome(d access.Delta, err error) error {
	if lostRace(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	unknown := &access.Error{Kind: access.ErrOutcomeUnknown, Message: fmt.Sprintf(
		"the database has not said whether the change of tenant %q was committed; before trying again, read whether "+
			"revision %d is there and who made it", d.Tenant, d.To)}
	return fmt.Errorf("%w: %w", unknown, err)
}

// view sees what the transaction has done so far.
func (w *write) view() view {
	return view{ctx: w.ctx, tx: w.tx.Statement.ConnPool, tenant: w.tenant, resident: w.resident, byLine: w.byLine, packed: w.packed}
}

func fresh(base, current access.Revision) error {
	if base == access.AnyRevision || base == current {
		return nil
	}
	return &access.Error{Kind: access.ErrStale, Field: "base_revision", Message: fmt.Sprintf(
		"the change was made for revision %d, and the tenant is at revision %d", base, current)}
}

// seal writes the next revision with its changes, moves the counters and gives
// the difference that the changes make.
func (w *write) seal(c access.Change) (access.Delta, error) {
	before := w.tenant.Revision
	if err := w.signOut(); err != nil {
		return access.Delta{}, fmt.Errorf("end sessions: %w", err)
	}
	if err := w.record(c); err != nil {
		return access.Delta{}, err
	}
	f := newFold(w.tenant, before)
	for _, change := range w.changes {
		if err := f.take(change); err != nil {
			return access.Delta{}, err
		}
	}
	foreign, err := w.foreign()
	if err != nil {
		return access.Delta{}, err
	}
	if f.policy || (f.ruled && foreign) {
		w.tenant.PolicyRevision = w.tenant.Revision
	}
	if err := w.keepStripes(f.delta.Stripes); err != nil {
		return access.Delta{}, fmt.Errorf("keep the stripes of users: %w", err)
	}
	done := w.tx.Model(&w.tenant).Where("revision = ?", before).Select("*").Omit("id", "code").Updates(w.tenant)
	if err := exactly(1, done); err != nil {
		return access.Delta{}, err
	}
	return f.sum(w.view(), w.now.UnixMicro())
}

// foreign tells whether the tenant has a Casbin model of its own. Then every
// rule may decide about anybody.
func (w *write) foreign() (bool, error) {
	var d settingsDocument
	err := decode("settings", w.tenant.Settings, &d)
	return d.Model != "", err
}

// record writes the next revision with its changes.
func (w *write) record(c access.Change) error {
	parent, err := w.parent()
	if err != nil {
		return err
	}
	w.tenant.Revision++
	entry := revisionRow{
		TenantID: w.tenant.ID, Number: w.tenant.Revision, Parent: parent,
		Author: c.Author, Source: c.Source, Reason: c.Reason, MadeAt: w.now.UnixMicro(),
	}
	chain := newLink(w.tenant.Code, entry)
	for i := range w.changes {
		w.changes[i].TenantID, w.changes[i].Revision, w.changes[i].N = w.tenant.ID, entry.Number, int64(i+1)
		chain.change(w.changes[i])
	}
	entry.Hash = chain.sum()
	if err := exactly(1, w.tx.Create(&entry)); err != nil {
		return fmt.Errorf("insert into revision: %w", err)
	}
	if err := insert(w, "revision_change", w.changes); err != nil {
		return err
	}
	return w.sign(entry)
}

// parent gives the hash of the newest revision.
func (w *write) parent() (string, error) {
	if w.tenant.Revision == 0 {
		return "", nil
	}
	var entry revisionRow
	err := w.tx.Where("tenant_id = ? AND number = ?", w.tenant.ID, w.tenant.Revision).Take(&entry).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return "", broken(w.tenant.Revision, "is missing; nothing can be written after it")
	}
	return entry.Hash, err
}

// note records a change. The images are written as JSON; nil stands for "not there".
func (w *write) note(kind, name string, before, after any) error {
	row := changeRow{Kind: kind, Name: name}
	var err error
	if before != nil {
		if row.OldValue, err = encode(before); err != nil {
			return err
		}
	}
	if after != nil {
		if row.NewValue, err = encode(after); err != nil {
			return err
		}
	}
	if len(row.OldValue) > maxDocument || len(row.NewValue) > maxDocument {
		return access.Invalid(kind, "%q is larger than %d bytes", name, maxDocument)
	}
	w.changes = append(w.changes, row)
	return nil
}

const (
	maxAuthor = 255
	maxReason = 4096
)

// checkChange refuses what the history could not keep.
func checkChange(c access.Change) error {
	if c.Author == "" {
		return access.Invalid("author", "is required")
	}
	for _, f := range []struct {
		field, text string
		limit       int
	}{{"author", c.Author, maxAuthor}, {"source", c.Source, maxAuthor}, {"reason", c.Reason, maxReason}} {
		if len(f.text) > f.limit || !utf8.ValidString(f.text) {
			return access.Invalid(f.field, "is not text of at most %d bytes", f.limit)
		}
	}
	return nil
}
