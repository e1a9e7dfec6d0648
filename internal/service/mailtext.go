package service

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"text/template"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// errNotWanted: what a mail was to tell is no longer so.
var errNotWanted = errors.New("the mail is no longer wanted")

// linkMails are the mails with a link: what it is good for, how long, for whom, and
// the page that it leads to.
var linkMails = map[access.MailPurpose]struct {
	token  access.Purpose
	lasts  time.Duration
	status access.UserStatus
	page   string
}{
	access.MailActivate: {access.PurposeActivate, ActivateTime, access.UserInvited, "activate"},
	access.MailReset:    {access.PurposeReset, ResetTime, access.UserActive, "reset-password"},
}

// letterFacts are what the texts can name. All of it is ours, or was looked
// through when it was written, and the texts are plain: there is nothing in
// which markup could stand.
type letterFacts struct {
	Service, Tenant, Name, Link string
	Hours                       int // for which the link is good
}

// compose writes a mail as it is to be sent now. A new link takes the place of
// the one that an earlier try may have brought.
func (m *Mails) compose(ctx context.Context, mail access.Mail) (letter access.Letter, expires time.Time, err error) {
	u, err := m.store.Account(ctx, mail.Tenant, mail.User)
	if errors.Is(err, access.ErrNotFound) || (err == nil && u.Status == access.UserDeleted) {
		return letter, expires, errNotWanted
	}
	if err != nil {
		return letter, expires, err
	}
	f := letterFacts{Service: m.opts.Service, Tenant: mail.Tenant, Name: calling(u.Name)}
	if l, ok := linkMails[mail.Purpose]; ok {
		if u.Status != l.status || u.Email != mail.To {
			return letter, expires, errNotWanted
		}
		expires = m.opts.Clock().Add(l.lasts)
		f.Hours = int(l.lasts.Hours())
		if f.Link, err = m.link(ctx, mail, expires); err != nil {
			return letter, expires, err
		}
	}
	letter, err = written(mail, language(u), f)
	return letter, expires, err
}

// link makes a new link for a mail.
func (m *Mails) link(ctx context.Context, mail access.Mail, expires time.Time) (string, error) {
	text, token := NewToken(mail.Tenant, mail.User, linkMails[mail.Purpose].token, expires)
	err := m.store.PutToken(ctx, token, access.Change{
		Base: access.AnyRevision, Author: "bailiwick", Source: "mail", Reason: "a link for " + string(mail.Purpose) + " was mailed",
	})
	return m.opts.PublicURL + LinkPath(mail.Purpose, mail.Tenant, text), err
}

// LinkPath is where a link leads to, below the public URL. The token stands in
// the fragment, which browsers send to nobody: neither logs nor other sites get it.
func LinkPath(purpose access.MailPurpose, tenant, token string) string {
	return "/" + linkMails[purpose].page + "?tenant=" + url.QueryEscape(tenant) + "#token=" + token
}

// calling gives the name for the greeting: none where a mail program could make
// a link of it.
func calling(name string) string {
	if strings.ContainsAny(name, "/:@") || strings.Contains(strings.ToLower(name), "www.") {
		return ""
	}
	return name
}

// language gives the language of somebody's mails, as his attribute "language"
// says: German for "de" and "de-AT", else English.
func language(u access.User) string {
	tag, _ := u.Attributes["language"].(string)
	tag, _, _ = strings.Cut(strings.ReplaceAll(strings.ToLower(tag), "_", "-"), "-")
	if letterTexts[tag] == nil {
		return "en"
	}
	return tag
}

func written(mail access.Mail, language string, f letterFacts) (access.Letter, error) {
	text := letterTexts[language][mail.Purpose]
	if text == nil {
		return access.Letter{}, fmt.Errorf("there is no text for mails about %q: %w", mail.Purpose, errNotWanted)
	}
	var b strings.Builder
	if err := text.Execute(&b, f); err != nil {
		return access.Letter{}, err
	}
	subject, body, _ := strings.Cut(b.String(), "\n")
	return access.Letter{ID: mail.ID, To: mail.To, Subject: subject, Text: strings.TrimSpace(body) + "\n"}, nil
}

// letterTexts are all texts, by language and purpose. The first line is the
// subject.
var letterTexts = map[string]map[access.MailPurpose]*template.Template{
	"en": parsed("Hello{{with .Name}} {{.}}{{end}},", "{{.Service}}, tenant {{.Tenant}}. This mail was written by a program; nobody reads answers.", map[access.MailPurpose]string{
		access.MailActivate: `Your account at {{.Service}}
An account has been made for you. Choose a password to begin:

{{.Link}}

The link works once, and within {{.Hours}} hours. Ask your administrator for another one when it no longer does.
If you do not know what this is about, do nothing: without a password nobody can sign in.`,
		access.MailReset: `Choose a new password for {{.Service}}
Somebody, probably you, has asked for a new password of your account. Choose it here:

{{.Link}}

The link works once, and for {{.Hours}} hour{{if gt .Hours 1}}s{{end}}. If it was not you, do nothing: your password stays as it is.`,
		access.MailPasswordChanged: `Your password at {{.Service}} was changed
An administrator has set a new password for your account and ended all its sessions. You will be asked
to choose your own at the next sign-in. If you did not expect this, talk to your administrator.`,
		access.MailEmailChanged: `Your e-mail address at {{.Service}} was changed
Your account has another e-mail address from now on, and this one is no longer used to sign in.
If you did not expect this, talk to your administrator.`,
		access.MailSecondFactorReset: `Your second factor at {{.Service}} was reset
An administrator has taken the second factor away from your account. You can set up another one when you
have signed in. If you did not expect this, talk to your administrator.`,
		access.MailSecondFactorOn: `A second factor was set up at {{.Service}}
Signing in to your account asks for a code of your app from now on, besides the password. If this was not you,
somebody knows your password: talk to your administrator at once.`,
		access.MailSecondFactorOff: `Your second factor at {{.Service}} was switched off
Signing in to your account asks for nothing but the password from now on. If this was not you, somebody knows
your password and has your second factor: talk to your administrator at once.`,
	}),
	"de": parsed("Guten Tag{{with .Name}} {{.}}{{end}},", "{{.Service}}, Mandant {{.Tenant}}. Diese Nachricht schrieb ein Programm; Antworten liest niemand.", map[access.MailPurpose]string{
		access.MailActivate: `Ihr Konto bei {{.Service}}
für Sie wurde ein Konto angelegt. Wählen Sie zum Beginn ein Passwort:

{{.Link}}

Der Link gilt einmal und {{.Hours}} Stunden lang. Gilt er nicht mehr, bitten Sie Ihre Verwaltung um einen neuen.
Wenn Sie nicht wissen, worum es geht, tun Sie nichts: Ohne Passwort kann sich niemand anmelden.`,
		access.MailReset: `Neues Passwort für {{.Service}}
jemand, vermutlich Sie, hat um ein neues Passwort für Ihr Konto gebeten. Wählen Sie es hier:

{{.Link}}

Der Link gilt einmal und {{.Hours}} Stunde{{if gt .Hours 1}}n{{end}} lang. Waren Sie es nicht, tun Sie nichts: Ihr Passwort bleibt, wie es ist.`,
		access.MailPasswordChanged: `Ihr Passwort bei {{.Service}} wurde geändert
die Verwaltung hat ein neues Passwort für Ihr Konto gesetzt und alle Sitzungen beendet. Bei der nächsten
Anmeldung werden Sie gebeten, ein eigenes zu wählen. Haben Sie das nicht erwartet, wenden Sie sich an Ihre Verwaltung.`,
		access.MailEmailChanged: `Ihre E-Mail-Adresse bei {{.Service}} wurde geändert
Ihr Konto hat ab jetzt eine andere E-Mail-Adresse; mit dieser melden Sie sich nicht mehr an.
Haben Sie das nicht erwartet, wenden Sie sich an Ihre Verwaltung.`,
		access.MailSecondFactorReset: `Ihr zweiter Faktor bei {{.Service}} wurde zurückgesetzt
die Verwaltung hat den zweiten Faktor Ihres Kontos entfernt. Nach der Anmeldung können Sie einen neuen
einrichten. Haben Sie das nicht erwartet, wenden Sie sich an Ihre Verwaltung.`,
		access.MailSecondFactorOn: `Zweiter Faktor für {{.Service}} eingerichtet
die Anmeldung an Ihrem Konto verlangt ab jetzt neben dem Passwort einen Code Ihrer App. Waren Sie das nicht,
kennt jemand Ihr Passwort: Wenden Sie sich sofort an Ihre Verwaltung.`,
		access.MailSecondFactorOff: `Ihr zweiter Faktor bei {{.Service}} wurde abgeschaltet
die Anmeldung an Ihrem Konto verlangt ab jetzt nur noch das Passwort. Waren Sie das nicht, kennt jemand Ihr
Passwort und hat Ihren zweiten Faktor: Wenden Sie sich sofort an Ihre Verwaltung.`,
	}),
}

// parsed puts a greeting and an end around texts.
func parsed(greeting, end string, texts map[access.MailPurpose]string) map[access.MailPurpose]*template.Template {
	all := map[access.MailPurpose]*template.Template{}
	for purpose, text := range texts {
		subject, body, _ := strings.Cut(text, "\n")
		all[purpose] = template.Must(template.New(string(purpose)).Parse(subject + "\n" + greeting + "\n\n" + body + "\n\n-- \n" + end + "\n"))
	}
	return all
}
