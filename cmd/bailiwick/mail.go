package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/mail"
	"github.com/bailiwick/bailiwick/internal/service"
)

// openMails prepares to send mails, without connecting: a mail server that is
// down is no reason not to start.
func openMails(s service.MailStore, cfg config.Config, log *slog.Logger) (*service.Mails, error) {
	o := service.MailsOptions{PublicURL: strings.TrimSuffix(cfg.Server.PublicURL, "/"), GiveUpAfter: cfg.Mail.GiveUpAfter, Log: log}
	if cfg.Mail.Server == "" {
		return service.NewMails(s, o), nil
	}
	sender, err := openSender(cfg.Mail)
	if err != nil {
		return nil, err
	}
	o.Postman = sender
	if from, err := netmail.ParseAddress(cfg.Mail.From); err == nil {
		o.Service = from.Name
	}
	return service.NewMails(s, o), nil
}

func openSender(m config.Mail) (*mail.Sender, error) {
	o := mail.Options{
		Server: m.Server, Port: m.Port, Security: mail.Security(m.TLS), User: m.User, Password: m.Password, From: m.From, Timeout: m.Timeout,
	}
	if m.TLSCA != "" {
		text, err := os.ReadFile(m.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("mail.tls_ca: %w", err)
		}
		o.Roots = x509.NewCertPool()
		if !o.Roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("mail.tls_ca: %s holds no certificate", m.TLSCA)
		}
	}
	return mail.New(o)
}

// mailing sends what is queued until ctx ends; the function waits for the end.
func mailing(ctx context.Context, m *service.Mails) (wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	sending.Go(func() { m.Run(ctx) })
	return func() { cancel(); sending.Wait() }
}

// mailSeries are the measures of outgoing mail, as they stand in /metrics.
func mailSeries(m *service.Mails) []httpapi.Series {
	r, oldest := m.Report(), 0.0
	if !r.Oldest.IsZero() {
		oldest = max(0, time.Since(r.Oldest).Seconds())
	}
	return []httpapi.Series{
		{Name: "bailiwick_mail_configured", Help: "1 where a mail server is set.", Value: truth(r.Configured)},
		{Name: "bailiwick_mail_waiting", Help: "Mails that wait to be sent, by any server over the same store.", Value: float64(r.Waiting)},
		{Name: "bailiwick_mail_oldest_seconds", Help: "For how long the first of them waits.", Value: oldest},
		{Name: "bailiwick_mail_given_up", Help: "Mails of the last 30 days that were given up.", Value: float64(r.Failed)},
		{Name: "bailiwick_mail_failing", Help: "1 while the mail server cannot be used.", Value: truth(r.Trouble != "")},
		counter("bailiwick_mail_sent_total", "Mails that the mail server has taken from this process.", float64(r.Sent)),
	}
}

// mails looks whether the mail server takes mails from us, and at what waits.
func (d *doctor) mails(ctx context.Context, cfg config.Mail) {
	if d.store != nil {
		if c, err := d.store.CountMail(ctx); err != nil {
			d.finding("mail", "", err.Error(), remedy(err))
		} else if cfg.Server == "" && c.Waiting > 0 {
			d.finding("mail", "", fmt.Sprintf("%d mails wait, and no mail server is set", c.Waiting),
				"set mail.server; until then an administrator gets the link of an invitation in its answer")
		} else if c.Failed > 0 {
			d.finding("mail", "", fmt.Sprintf("%d mails of the last 30 days were given up", c.Failed),
				"the accounts show why; send invitations again with POST .../users/{id}:resend")
		}
	}
	if cfg.Server == "" {
		return
	}
	sender, err := openSender(cfg)
	if err == nil {
		err = sender.Connect(ctx)
		sender.Close()
	}
	if err != nil {
		d.finding("mail", "", err.Error(), "nobody is kept waiting by it, and mails go out later: look whether it runs, and at mail")
		return
	}
	d.fine("mail", "", "the mail server %s lets us in", cfg.Server)
}
