package store

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"
	"unicode"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// mailRow is a row of mail.
type mailRow struct {
	TenantID  int64  `gorm:"primaryKey"`
	UserID    string `gorm:"primaryKey"`
	Purpose   string `gorm:"primaryKey"`
	ID        string
	Recipient string
	State     string
	CreatedAt int64 `gorm:"autoCreateTime:false"` // microseconds, as all of them
	DueAt     int64
	Tries     int
	SettledAt int64 // 0: it waits
	ExpiresAt int64 // of the link in it; 0: there is none
	Trouble   string
}

// TableName is asked by gorm.
func (mailRow) TableName() string { return "mail" }

func (r mailRow) mail(tenant string) access.Mail {
	return access.Mail{
		ID: r.ID, Tenant: tenant, User: r.UserID, Purpose: access.MailPurpose(r.Purpose), To: r.Recipient,
		State: access.MailState(r.State), Created: moment(r.CreatedAt), Due: moment(r.DueAt), Tries: r.Tries,
		Settled: moment(r.SettledAt), Expires: moment(r.ExpiresAt), Trouble: r.Trouble,
	}
}

// mailImage is how a mail stands in the history: that it was queued.
type mailImage struct {
	User    string `json:"user"`
	Purpose string `json:"purpose"`
}

// Send queues a mail to a user as a part of the edit, and records that: it goes
// out when the edit is committed, and never otherwise. It takes the place of one
// for the same purpose.
func (d *draft) Send(m access.Mail) error {
	if err := queue(d.w.tx, d.w.tenant.ID, d.w.now, m); err != nil {
		return err
	}
	return d.w.note(kindMail, m.User, nil, mailImage{User: m.User, Purpose: string(m.Purpose)})
}

// SendMail queues a mail to a user that belongs to no change, in the place of one
// for the same purpose.
func (s *Store) SendMail(ctx context.Context, m access.Mail) error {
	return fault("queue a mail", s.aside(ctx, func(tx *gorm.DB) error {
		var tenant tenantRow
		err := tx.Where("code = ?", m.Tenant).Take(&tenant).Error
		if err := known(m.Tenant, tenant, err); err != nil {
			return err
		}
		return queue(tx, tenant.ID, s.now(), m)
	}))
}

func queue(tx *gorm.DB, tenant int64, now time.Time, m access.Mail) error {
	if m.To == "" {
		return access.Invalid("email", "user %q has none, so no mail can be sent to him", m.User)
	}
	if err := errors.Join(access.ValidUserID("user", m.User), access.ValidName("email", m.To)); err != nil {
		return err
	}
	row := mailRow{
		TenantID: tenant, UserID: m.User, Purpose: string(m.Purpose), ID: strings.ToLower(rand.Text()), Recipient: m.To,
		State: string(access.MailWaiting), CreatedAt: now.UnixMicro(), DueAt: now.UnixMicro(),
	}
	return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
}

// rivals is how many due mails are looked at for one that nobody else claims.
const rivals = 32

// ClaimMail takes hold of a mail that is due, for as long as it may take to send
// it: nobody else gets it before the lease is over. ErrNotFound: none is due.
func (s *Store) ClaimMail(ctx context.Context, lease time.Duration) (access.Mail, error) {
	if err := s.usable(ctx); err != nil {
		return access.Mail{}, err
	}
	db, now := s.db.WithContext(ctx), s.now()
	var due []mailRow
	err := db.Where("state = ? AND due_at <= ?", string(access.MailWaiting), now.UnixMicro()).Order("due_at").Limit(rivals).Find(&due).Error
	if err != nil {
		return access.Mail{}, fault("look for mails", err)
	}
	for _, r := range due {
		claim := map[string]any{"due_at": now.Add(lease).UnixMicro(), "tries": r.Tries + 1}
		done := db.Model(&mailRow{}).Where("id = ? AND tries = ? AND due_at = ?", r.ID, r.Tries, r.DueAt).Updates(claim)
		if done.Error != nil {
			return access.Mail{}, fault("claim a mail", done.Error)
		}
		if done.RowsAffected == 1 {
			r.DueAt, r.Tries = now.Add(lease).UnixMicro(), r.Tries+1
			return s.mailOf(ctx, r)
		}
	}
	return access.Mail{}, access.NotFound("mail", "that is due")
}

func (s *Store) mailOf(ctx context.Context, r mailRow) (access.Mail, error) {
	var tenant tenantRow
	err := s.db.WithContext(ctx).Where("id = ?", r.TenantID).Take(&tenant).Error
	return r.mail(tenant.Code), fault("read the tenant of a mail", err)
}

// SettleMail keeps what became of a mail that was claimed: its state, and when it
// is due again. A mail that was replaced or claimed by somebody else meanwhile is
// left as it is.
func (s *Store) SettleMail(ctx context.Context, m access.Mail) error {
	return fault("settle a mail", s.aside(ctx, func(tx *gorm.DB) error {
		return tx.Model(&mailRow{}).Where("id = ? AND tries = ?", m.ID, m.Tries).Updates(map[string]any{
			"state": string(m.State), "due_at": m.Due.UnixMicro(), "settled_at": instant(m.Settled), "expires_at": instant(m.Expires),
			"trouble": brief(m.Trouble),
		}).Error
	}))
}

// DropMail forgets a mail that was claimed and that nobody needs any more.
func (s *Store) DropMail(ctx context.Context, m access.Mail) error {
	return fault("drop a mail", s.aside(ctx, func(tx *gorm.DB) error {
		return tx.Where("id = ? AND tries = ?", m.ID, m.Tries).Delete(&mailRow{}).Error
	}))
}

// SweepMail forgets what was settled, or has waited in vain, since before a moment.
func (s *Store) SweepMail(ctx context.Context, before time.Time) error {
	return fault("forget old mails", s.aside(ctx, func(tx *gorm.DB) error {
		return tx.Where("created_at < ? AND settled_at < ?", before.UnixMicro(), before.UnixMicro()).Delete(&mailRow{}).Error
	}))
}

// CountMail counts what has not been sent.
func (s *Store) CountMail(ctx context.Context) (access.MailCounts, error) {
	var c access.MailCounts
	if err := s.usable(ctx); err != nil {
		return c, err
	}
	var rows []struct {
		State  string
		N      int
		Oldest int64
	}
	err := s.reader.WithContext(ctx).Raw("SELECT state, COUNT(*) AS n, MIN(created_at) AS oldest FROM mail WHERE state IN ? GROUP BY state",
		[]string{string(access.MailWaiting), string(access.MailFailed)}).Scan(&rows).Error
	for _, r := range rows {
		if r.State == string(access.MailFailed) {
			c.Failed = r.N
		} else {
			c.Waiting, c.Oldest = r.N, moment(r.Oldest)
		}
	}
	return c, fault("count mails", err)
}

// MailsTo gives the newest mail of a purpose to each of these users who has got
// one, by id.
func (s *Store) MailsTo(ctx context.Context, tenant string, purpose access.MailPurpose, users []string) (map[string]access.Mail, error) {
	if err := s.usable(ctx); err != nil || len(users) == 0 {
		return nil, err
	}
	var rows []mailRow
	db := s.reader.WithContext(ctx)
	err := db.Where("tenant_id = (?) AND purpose = ? AND user_id IN ?", db.Model(&tenantRow{}).Select("id").Where("code = ?", tenant), string(purpose), users).
		Find(&rows).Error
	found := make(map[string]access.Mail, len(rows))
	for _, r := range rows {
		found[r.UserID] = r.mail(tenant)
	}
	return found, fault("look for mails", err)
}

// instant gives 0 for no moment.
func instant(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// brief cuts what another program has said to what the column holds, in one line.
func brief(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most])
	}
	return text
}
