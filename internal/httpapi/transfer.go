package httpapi

import (
	"cmp"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/sheet"
)

const (
	exportTime  = 10 * time.Minute // that an export may take, with a slow client
	importTime  = 2 * time.Minute
	maxImport   = 8 << 20 // bytes of a table as it is sent
	importCells = 64 << 20
)

// importLimits bound what is read of a table.
var importLimits = sheet.Limits{Rows: service.MaxImport + 1, Columns: 50, Cell: 128 << 10, Bytes: importCells}

var formatParam = param{name: "format", oneOf: []string{string(sheet.CSV), string(sheet.XLSX)}, text: "How the table is written; csv when left out."}

var sheetMedia = []string{"text/csv", sheet.XLSX.MediaType()}

const (
	exportText = "A table with all fields, streamed; an answer that breaks off is no whole file. CSV is in UTF-8 with a byte order mark. Cells that a program could take for a formula stand behind an apostrophe, which an import takes away again. "
	importText = changeText + "The body is CSV in UTF-8 or XLSX, with the columns of the template in any order and at most 10000 rows. " +
		"An account is found by its id, or where that is empty by its e-mail. A column that is left out changes nothing, an empty cell makes empty. " +
		"All rows are one revision, or nothing is imported: 422 with every mistake and its line. Formulas are refused, and nothing in the file is calculated."
)

var importParams = append([]param{
	{name: "mode", oneOf: []string{"create", "update", "upsert"}, text: "Whether accounts are made, changed, or either as they are there or not; upsert when left out."},
	{name: "group", text: "Code of a group that everybody in the table is to be in too."},
	{name: "scope", text: "Where those memberships of the table hold that name no scope, and that of group."},
	{name: "dry_run", kind: flagParam, text: "Change nothing, and tell what would be."},
}, editParams...)

var transferRoutes = []route{
	{
		method: http.MethodGet, path: userPath + ":export", tenant: true, need: access.KeyRead, time: exportTime,
		serve: (*call).exportUsers, tag: "Directory", summary: "Download accounts as a table",
		query: exportParams(userParams), text: exportText + "It has the accounts of the list with the same query. It can be edited and imported.", makes: sheetMedia,
	},
	{
		method: http.MethodPost, path: userPath + ":import", tenant: true, need: access.KeyAdmin, change: true, time: importTime, limit: maxImport,
		serve: (*call).importUsers, tag: "Directory", summary: "Make and change accounts by a table",
		query: importParams, text: importText, takes: sheetMedia, answer: api.Imported{},
	},
	{
		method: http.MethodGet, path: userPath + ":import-template", tenant: true, need: access.KeyRead,
		serve: (*call).importTemplate, tag: "Directory", summary: "Download an empty table of accounts",
		query: []param{formatParam}, makes: sheetMedia,
	},
	{
		method: http.MethodGet, path: groupPath + ":export", tenant: true, need: access.KeyRead, time: exportTime,
		serve: (*call).exportGroups, tag: "Directory", summary: "Download groups as a table",
		query: exportParams(groupParams, "view", "node", "depth"), text: exportText, makes: sheetMedia,
	},
	{
		method: http.MethodGet, path: groupPath + "/{code}/members:export", tenant: true, need: access.KeyRead, time: exportTime,
		serve: (*call).exportMembers, tag: "Directory", summary: "Download the members of a group as a table of accounts",
		query: exportParams(userParams, "group"), text: exportText + "It can be edited and imported.", makes: sheetMedia,
	},
	{
		method: http.MethodPost, path: groupPath + "/{code}/members:import", tenant: true, need: access.KeyAdmin, change: true, time: importTime, limit: maxImport,
		serve: (*call).importMembers, tag: "Directory", summary: "Make and change accounts by a table, and put them into a group",
		query: slices.DeleteFunc(slices.Clone(importParams), func(p param) bool { return p.name == "group" }),
		text:  importText, takes: sheetMedia, answer: api.Imported{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/grants:export", tenant: true, need: access.KeyRead, time: exportTime,
		serve: (*call).exportGrants, tag: "Directory", summary: "Download rights and prohibitions, with whoever holds them himself, as a table",
		query: []param{formatParam}, text: exportText, makes: sheetMedia,
	},
}

// exportParams are those of a list, without its pages.
func exportParams(of []param, but ...string) []param {
	but = append(but, pageSizeParam.name, pageTokenParam.name)
	return append(slices.DeleteFunc(slices.Clone(of), func(p param) bool { return slices.Contains(but, p.name) }), formatParam)
}

// table streams a table. Its head is sent when the first rows are there, so that
// whoever may not see them is told so in a problem.
type table struct {
	c      *call
	what   string
	format sheet.Format
	head   []string
	out    *sheet.Writer
}

func (c *call) table(what string, head ...string) *table {
	return &table{c: c, what: what, format: sheet.Format(cmp.Or(c.word("format"), string(sheet.CSV))), head: head}
}

// Write sends a part of the file. The place is given back before: a client that
// reads slowly holds none.
func (t *table) Write(part []byte) (int, error) {
	t.c.leave()
	return t.c.g.Writer.Write(part)
}

// page writes some rows, and takes a place again for the next ones.
func (t *table) page(n int, row func(i int) []string) error {
	if t.out == nil {
		h := t.c.g.Writer.Header()
		h["Content-Type"] = []string{t.format.MediaType()}
		name := t.what + "-" + t.c.tenant + "-" + t.c.api.o.Clock().UTC().Format(time.DateOnly) + "." + string(t.format)
		h["Content-Disposition"] = []string{mime.FormatMediaType("attachment", map[string]string{"filename": name})}
		t.out = sheet.NewWriter(t, t.format)
		if err := t.out.Row(t.head...); err != nil {
			return err
		}
	}
	for i := range n {
		if err := t.out.Row(row(i)...); err != nil {
			return err
		}
	}
	for !t.c.inside {
		if err := t.c.enter(searches); err != nil && !errors.Is(err, errOverloaded) {
			return err
		}
	}
	return nil
}

// close ends the file, and notes who has taken what.
func (t *table) close(n int, err error) error {
	if err == nil {
		err = t.out.Close()
	}
	c := t.c
	if t.out != nil { // else nothing was sent
		c.api.o.Log.LogAttrs(c.ctx(), slog.LevelInfo, "data was exported",
			slog.String("request_id", c.id), slog.String("caller", c.caller.Name), slog.String("tenant", c.tenant), slog.String("what", t.what),
			slog.String("format", string(t.format)), slog.Any("filters", c.filters()), slog.Int("rows", n), slog.Bool("whole", err == nil))
	}
	return err
}

// filters says what was asked for. What may name a person stays out of the log.
func (c *call) filters() []string {
	var all []string
	for name, value := range c.query {
		switch name {
		case "format":
			continue
		case "q", "email", "external_id":
			value = "…"
		}
		all = append(all, name+"="+value)
	}
	slices.Sort(all)
	return all
}

func (c *call) exportUsers() error {
	q, err := c.userSearch()
	if err != nil {
		return err
	}
	t := c.table("users", userColumnNames(false)...)
	return t.close(c.directory().EachUser(c.ctx(), c.caller, c.tenant, q, t.users))
}

func (c *call) exportMembers() error {
	q, err := c.userSearch()
	if err != nil {
		return err
	}
	t := c.table("members", userColumnNames(false)...)
	t.what += "-" + c.g.Param("code")
	return t.close(c.directory().EachMember(c.ctx(), c.caller, c.tenant, c.g.Param("code"), q, t.users))
}

func (t *table) users(users []access.User) error {
	return t.page(len(users), func(i int) []string {
		u := t.c.wireUser(&users[i])
		cells := make([]string, len(userColumns))
		for n := range userColumns {
			cells[n] = userColumns[n].write(&u)
		}
		return cells
	})
}

func (c *call) importTemplate() error {
	t := c.table("users-template", userColumnNames(true)...)
	err := c.directory().MayListUsers(c.ctx(), c.caller, c.tenant)
	if err == nil {
		err = t.page(0, nil)
	}
	if err != nil {
		return err
	}
	return t.out.Close()
}

func (c *call) exportGroups() error {
	t := c.table("groups", "code", "name", "description", "kind", "base", "roles", "grants", "signature", "reach", "scopes", "attributes", "members", "children")
	q := service.GroupQuery{Q: c.word("q"), Kind: access.GroupKind(c.word("kind")), Base: c.word("base"), Sort: c.word("sort")}
	return t.close(c.directory().EachGroup(c.ctx(), c.caller, c.tenant, q, func(groups []service.GroupEntry) error {
		return t.page(len(groups), func(i int) []string {
			g := groupOf(&groups[i], 0)
			return []string{
				g.Code, g.Name, lines(g.Description), g.Kind, g.Base, rolesCell(g.Roles), jsonCell(g.Grants, len(g.Grants)), lines(g.Signature),
				g.Reach, listCell(g.Scopes), jsonCell(g.Attributes, len(g.Attributes)), itoa(g.Members), itoa(g.Children),
			}
		})
	}))
}

// lines makes a text of several lines one that a cell can hold.
func lines(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
}

func (c *call) exportGrants() error {
	t := c.table("grants", "kind", "holder", "section", "rights", "crud", "scope", "effect", "condition", "from", "until")
	return t.close(c.directory().EachGrant(c.ctx(), c.caller, c.tenant, func(held []service.HeldGrant) error {
		return t.page(len(held), func(i int) []string {
			h := &held[i]
			g := wireRight(&h.Grant)
			return []string{
				kindWords[h.Kind], h.Holder, g.Section, listCell(g.Rights), itoa(g.Crud), g.Scope, g.Effect, lines(g.Condition), momentCell(g.From), momentCell(g.Until),
			}
		})
	}))
}

var kindWords = map[access.Kind]string{
	access.KindUser: "user", access.KindGroup: "group", access.KindRole: "role", access.KindApplication: "application",
}

func (c *call) importUsers() error { return c.importInto(c.word("group")) }

func (c *call) importMembers() error { return c.importInto(c.g.Param("code")) }

func (c *call) importInto(group string) error {
	read, err := c.readUserTable()
	if err != nil {
		return err
	}
	scope := access.Scope(c.word("scope"))
	table := service.UserImport{Mode: service.ImportMode(cmp.Or(c.word("mode"), string(service.ImportUpsert))), Rows: read.rows, Wrong: read.wrong}
	if group != "" {
		table.Groups = []access.Link{{To: group, Scope: scope}}
	}
	for _, row := range read.rows {
		if row.Patch.Groups == nil || scope == "" {
			continue
		}
		for i := range *row.Patch.Groups {
			l := &(*row.Patch.Groups)[i]
			l.Scope = cmp.Or(l.Scope, scope)
		}
	}
	change := c.changeAsked()
	if change.Rehearse = c.word("dry_run") == "true"; change.Rehearse {
		return c.importTried(&table, change)
	}
	return made(c, http.StatusOK, change, func(change access.Change) (service.Imported, access.Revision, error) {
		return c.directory().ImportUsers(c.ctx(), c.caller, c.tenant, table, change)
	}, func(done *service.Imported, revision access.Revision) api.Imported {
		return importedOf(done, revision, maxForetold)
	})
}

// importTried tells what an import would do.
func (c *call) importTried(table *service.UserImport, change access.Change) error {
	done, revision, err := c.directory().ImportUsers(c.ctx(), c.caller, c.tenant, *table, change)
	if err != nil {
		return err
	}
	return c.foretell(func(most int) any { return importedOf(&done, revision, most) }, toldBy(done.Foretold), nil)
}

func importedOf(done *service.Imported, revision access.Revision, most int) api.Imported {
	dry := done.Foretold != nil
	w := api.Imported{
		Foretold: foretoldOf(done.Foretold, most),
		DryRun:   dry, Created: done.Created, Updated: done.Updated, Unchanged: done.Unchanged, Revision: uint64(revision),
		Accounts: make([]api.ImportedAccount, len(done.Rows)),
	}
	for i, row := range done.Rows {
		a := api.ImportedAccount{Line: row.Line, ID: row.User.ID, Email: row.User.Email, Change: "update", Fields: row.Fields}
		if row.Created {
			a.Change, a.Fields = "create", nil
			if dry && row.Random {
				a.ID = ""
			}
		}
		w.Accounts[i] = a
	}
	return w
}

// readUserTable takes in the body as what it says that it is.
func (c *call) readUserTable() (*userTable, error) {
	format, err := c.sheetFormat()
	if err != nil {
		return nil, err
	}
	body, cells := readers.Get().(*reader), readers.Get().(*reader)
	defer body.release()
	defer cells.release()
	if err := body.readBody(c.g.Request, c.route.bodyLimit()); err != nil {
		return nil, err
	}
	t := &userTable{cells: cells}
	err = sheet.Read(body.body, format, importLimits, t.row)
	var wrong *sheet.Mistake
	switch {
	case errors.As(err, &wrong):
		t.wrong = append(t.wrong, service.ImportMistake{Line: wrong.Line, Field: t.columnName(wrong.Column), Reason: wrong.Reason})
	case errors.Is(err, access.ErrInvalid):
		t.note(1, "", err)
	case err != nil:
		return nil, err
	case t.columns == nil:
		t.wrong = append(t.wrong, service.ImportMistake{Reason: "the table is empty"})
	}
	if err != nil && t.columns == nil || len(t.wrong) > 0 && len(t.rows) == 0 {
		return nil, t.wrong
	}
	return t, nil
}

// columnName names a column, from 1, by its head or its number.
func (t *userTable) columnName(n int) string {
	switch {
	case n == 0:
		return ""
	case n <= len(t.columns) && t.columns[n-1] != nil:
		return t.columns[n-1].name
	}
	return "column " + itoa(n)
}

func (c *call) sheetFormat() (sheet.Format, error) {
	kind, parameters, err := mime.ParseMediaType(c.g.GetHeader("Content-Type"))
	switch charset := parameters["charset"]; {
	case err != nil || len(c.g.Request.Header["Content-Type"]) > 1:
	case kind == sheetMedia[0] && (charset == "" || strings.EqualFold(charset, "utf-8")):
		return sheet.CSV, nil
	case kind == sheetMedia[1]:
		return sheet.XLSX, nil
	}
	return "", &access.Error{Kind: errContentType, Field: "Content-Type", Message: "must be " + strings.Join(sheetMedia, " in UTF-8, or ")}
}
