// Package sheet reads and writes tables of texts as spreadsheets keep them: as
// CSV and as XLSX. It knows nothing of what the tables say.
//
// What it writes cannot be taken for a formula by the program that opens it, and
// what it reads is what was written, to the byte. Files from outside are read in
// bounded memory, whatever they claim to unpack to; nothing in them is evaluated.
package sheet

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Format is how a table is kept.
type Format string

// The formats.
const (
	CSV  Format = "csv"
	XLSX Format = "xlsx"
)

// MediaType names the format in HTTP.
func (f Format) MediaType() string {
	if f == XLSX {
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	}
	return "text/csv; charset=utf-8"
}

// Limits bound what is read. All must be set.
type Limits struct {
	Rows    int   // with something in them, the first one included
	Columns int   // of one row
	Cell    int   // bytes of one cell
	Bytes   int64 // of everything that an XLSX file unpacks to
}

// Mistake is what cannot be read, and where.
type Mistake struct { //nolint:errname // it says what is wrong in the table
	Line   int // from 1, as the spreadsheet shows it; of CSV the line of the file
	Column int // from 1; 0: the line as a whole
	Reason string
}

// Error gives the place and the reason.
func (m *Mistake) Error() string {
	switch {
	case m.Line == 0:
		return m.Reason
	case m.Column == 0:
		return fmt.Sprintf("line %d: %s", m.Line, m.Reason)
	}
	return fmt.Sprintf("line %d, column %d: %s", m.Line, m.Column, m.Reason)
}

func mistake(line, column int, format string, args ...any) error {
	return &Mistake{Line: line, Column: column, Reason: fmt.Sprintf(format, args...)}
}

// Read hands every row that is not blank to a function, which may keep the
// cells. Its error ends the reading; what cannot be read is a *Mistake.
func Read(body []byte, f Format, l Limits, take func(line int, cells []string) error) error {
	rows := &rows{limits: l, take: take}
	if f == XLSX {
		return readXLSX(body, rows)
	}
	return readCSV(body, rows)
}

// rows counts and checks what was read.
type rows struct {
	limits Limits
	seen   int
	take   func(int, []string) error
}

func (r *rows) row(line int, cells []string) error {
	if strings.Join(cells, "") == "" {
		return nil
	}
	if r.seen++; r.seen > r.limits.Rows {
		return mistake(line, 0, "there are more than %d rows, the head among them", r.limits.Rows)
	}
	if len(cells) > r.limits.Columns {
		return mistake(line, r.limits.Columns+1, "there are more than %d columns", r.limits.Columns)
	}
	for i, cell := range cells {
		if len(cell) > r.limits.Cell {
			return mistake(line, i+1, "the cell holds more than %d bytes", r.limits.Cell)
		}
		cells[i] = unguard(cell)
	}
	return r.take(line, cells)
}

// begins are the characters with which a cell may begin a formula in one program
// or another, and those that a program may skip before it looks (ASVS 1.2.10).
const begins = "=+-@\t\r\n\x00＝＋－＠"

// guard puts an apostrophe before a cell that could be taken for a formula, and
// one more where that is not the first: so unguard can tell.
func guard(cell string) string {
	if dangerous(cell) {
		return "'" + cell
	}
	return cell
}

// unguard takes back what guard did. Cells that only begin with an apostrophe,
// as some names do, were never guarded.
func unguard(cell string) string {
	if rest, guarded := strings.CutPrefix(cell, "'"); guarded && dangerous(rest) {
		return rest
	}
	return cell
}

func dangerous(cell string) bool {
	rest := strings.TrimLeft(cell, "'")
	first, _ := utf8.DecodeRuneInString(rest)
	return rest != "" && strings.ContainsRune(begins, first)
}

// Writer writes a table row by row and keeps none of it.
type Writer struct {
	out interface {
		row(cells []string) error
		close() error
	}
}

// NewWriter begins a table.
func NewWriter(w io.Writer, f Format) *Writer {
	if f == XLSX {
		return &Writer{out: newXLSX(w)}
	}
	return &Writer{out: newCSV(w)}
}

// Row writes one row. What no spreadsheet can keep, as most control characters, is
// written as U+FFFD: one text that somebody wrote long ago must not keep everybody
// from the rest of the table.
func (w *Writer) Row(cells ...string) error {
	guarded := make([]string, len(cells))
	for i, cell := range cells {
		guarded[i] = guard(strings.Map(writable, cell))
	}
	return w.out.row(guarded)
}

// writable gives U+FFFD for what cannot be written. It is what strings.Map has for
// bytes that are no UTF-8, too.
func writable(r rune) rune {
	if r < ' ' && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF {
		return utf8.RuneError
	}
	return r
}

// Close ends the table. What was written is no whole file without it.
func (w *Writer) Close() error { return w.out.close() }
