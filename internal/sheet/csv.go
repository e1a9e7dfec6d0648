package sheet

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// mark is the byte order mark in UTF-8. Spreadsheets take a file without it for
// one in an old code page, and garble every name beyond ASCII.
const mark = "\uFEFF"

type csvWriter struct{ out *csv.Writer }

func newCSV(w io.Writer) *csvWriter {
	buffered := bufio.NewWriter(w) // csv.Writer takes it over as it is
	_, _ = buffered.WriteString(mark)
	out := csv.NewWriter(buffered)
	out.UseCRLF = true // RFC 4180
	return &csvWriter{out}
}

func (w *csvWriter) row(cells []string) error {
	if len(cells) == 1 && cells[0] == "" {
		return errors.New("a row of one empty cell would be a blank line")
	}
	return w.out.Write(cells)
}

func (w *csvWriter) close() error {
	w.out.Flush()
	return w.out.Error()
}

func readCSV(body []byte, rows *rows) error {
	if bytes.HasPrefix(body, []byte("\xFF\xFE")) || bytes.HasPrefix(body, []byte("\xFE\xFF")) {
		return mistake(1, 0, "the file is in UTF-16; save it as CSV in UTF-8")
	}
	if bytes.HasPrefix(body, []byte("PK\x03\x04")) {
		return mistake(1, 0, "the file is no CSV; it may be an XLSX file")
	}
	if at := invalidAt(body); at >= 0 {
		return mistake(1+bytes.Count(body[:at], []byte("\n")), 0, "the file is not in UTF-8; save it as CSV in UTF-8")
	}
	text, skipped := strings.TrimPrefix(string(body), mark), 0
	in, comma := csv.NewReader(strings.NewReader(text)), separator(text)
	if first, rest, _ := strings.Cut(text, "\n"); strings.HasPrefix(first, "sep=") && len(strings.TrimSpace(first)) <= len("sep=")+1 {
		in, skipped = csv.NewReader(strings.NewReader(rest)), 1 // as some programs begin their files
		if comma = ','; len(strings.TrimRight(first, "\r")) > len("sep=") {
			comma = rune(first[len("sep=")])
		}
	}
	if !strings.ContainsRune(",;\t|", comma) {
		return mistake(1, 0, "the cells are separated by %q; write commas, semicolons or tabs", string(comma))
	}
	in.Comma, in.FieldsPerRecord = comma, -1
	for {
		cells, err := in.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &wrong):
			return mistake(wrong.StartLine+skipped, 0, "%s", wrong.Err)
		case err != nil:
			return err
		}
		line, _ := in.FieldPos(0)
		if err := rows.row(line+skipped, cells); err != nil {
			return err
		}
	}
}

func invalidAt(body []byte) int {
	for at := 0; at < len(body); {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// separator gives the first of the usual separators that the first line holds:
// spreadsheets write the one of the country they are set to.
func separator(text string) rune {
	for _, r := range text {
		switch r {
		case ',', ';', '\t':
			return r
		case '\n':
			return ','
		}
	}
	return ','
}
