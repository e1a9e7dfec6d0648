package sheet

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
)

// book is an XLSX file that is being read. Its parts are read token by token, as
// a stream, and together they may unpack to so many bytes.
type book struct {
	parts  map[string]*zip.File
	left   int64
	rows   *rows
	shared []string
}

var errNoBook = &Mistake{Reason: "the file is no XLSX file, or a damaged one"}

func readXLSX(body []byte, rows *rows) error {
	files, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return errNoBook
	}
	b := &book{parts: map[string]*zip.File{}, left: rows.limits.Bytes, rows: rows}
	for _, f := range files.File {
		b.parts[strings.ToLower(strings.TrimPrefix(f.Name, "/"))] = f
	}
	workbook, err := b.target("", "/officeDocument", "")
	if err != nil {
		return err
	}
	first, err := b.firstSheet(workbook)
	if err != nil {
		return err
	}
	table, err := b.target(workbook, "", first)
	if err != nil {
		return err
	}
	if err := b.strings(workbook); err != nil {
		return err
	}
	return b.sheet(table)
}

// target finds what a part relates to, by the end of the relation's type or its id.
func (b *book) target(from, kind, id string) (string, error) {
	folder, name := path.Split(from)
	found := ""
	err := b.each(folder+"_rels/"+name+".rels", func(t xml.Token) error {
		start, is := t.(xml.StartElement)
		if !is || start.Name.Local != "Relationship" || found != "" {
			return nil
		}
		if id != "" && attribute(start, "Id") == id || id == "" && strings.HasSuffix(attribute(start, "Type"), kind) {
			if found = attribute(start, "Target"); !strings.HasPrefix(found, "/") {
				found = "/" + folder + found
			}
		}
		return nil
	})
	return strings.TrimPrefix(path.Clean(found), "/"), err
}

// firstSheet gives the relation of the first table in the book.
func (b *book) firstSheet(workbook string) (id string, err error) {
	err = b.each(workbook, func(t xml.Token) error {
		if start, is := t.(xml.StartElement); is && start.Name.Local == "sheet" && id == "" {
			for _, a := range start.Attr {
				if a.Name.Local == "id" && a.Name.Space != "" {
					id = a.Value
				}
			}
		}
		return nil
	})
	if err == nil && id == "" {
		err = errNoBook
	}
	return id, err
}

// strings reads the texts that several cells may share.
func (b *book) strings(workbook string) error {
	at, err := b.target(workbook, "/sharedStrings", "")
	if err != nil || b.parts[strings.ToLower(at)] == nil {
		return err
	}
	most := b.rows.limits.Rows * b.rows.limits.Columns
	var text strings.Builder
	in := within{}
	return b.each(at, func(t xml.Token) error {
		in.token(t)
		switch t := t.(type) {
		case xml.CharData:
			if in.text && !in.aside {
				text.Write(t)
			}
		case xml.EndElement:
			if t.Name.Local != "si" {
				return nil
			}
			if len(b.shared) == most {
				return mistake(0, 0, "the file holds more than %d texts", most)
			}
			b.shared = append(b.shared, text.String())
			text.Reset()
		}
		return nil
	})
}

// within tells what a token lies in.
type within struct {
	text  bool // <t>: text of a string
	aside bool // <rPh>: how it is pronounced
	value bool // <v>
}

func (w *within) token(t xml.Token) {
	name, on := "", false
	switch t := t.(type) {
	case xml.StartElement:
		name, on = t.Name.Local, true
	case xml.EndElement:
		name = t.Name.Local
	}
	switch name {
	case "t":
		w.text = on
	case "rPh":
		w.aside = on
	case "v":
		w.value = on
	}
}

// table is the row and the cell that are being read.
type table struct {
	book  *book
	in    within
	line  int
	cells []string
	at    int // the column, from 0
	kind  string
	text  strings.Builder
}

func (b *book) sheet(part string) error {
	t := &table{book: b}
	return b.each(part, func(token xml.Token) error {
		t.in.token(token)
		switch token := token.(type) {
		case xml.StartElement:
			return t.start(token)
		case xml.CharData:
			if t.in.value && t.kind != "inlineStr" || t.in.text && !t.in.aside && t.kind == "inlineStr" {
				t.text.Write(token)
			}
		case xml.EndElement:
			return t.end(token.Name.Local)
		}
		return nil
	})
}

func (t *table) start(e xml.StartElement) error {
	switch e.Name.Local {
	case "row":
		line, err := strconv.Atoi(attribute(e, "r"))
		if err != nil {
			line = t.line + 1
		}
		if line <= t.line {
			return errNoBook
		}
		t.line, t.cells, t.at = line, nil, -1
	case "c":
		t.at++
		if column, ok := columnOf(attribute(e, "r")); ok {
			t.at = column
		}
		if t.at >= t.book.rows.limits.Columns {
			return mistake(t.line, t.at+1, "there are more than %d columns", t.book.rows.limits.Columns)
		}
		t.kind = attribute(e, "t")
		t.text.Reset()
	case "f":
		return mistake(t.line, t.at+1, "the cell holds a formula, and nothing is calculated here: put its value there")
	}
	return nil
}

func (t *table) end(name string) error {
	switch name {
	case "c":
		text, err := t.value()
		if err != nil || text == "" || t.at < 0 {
			return err
		}
		for len(t.cells) <= t.at {
			t.cells = append(t.cells, "")
		}
		t.cells[t.at] = text
	case "row":
		return t.book.rows.row(t.line, t.cells)
	}
	return nil
}

// value gives the text of a cell as it was typed.
func (t *table) value() (string, error) {
	text := t.text.String()
	switch t.kind {
	case "s":
		i, err := strconv.Atoi(text)
		if err != nil || i < 0 || i >= len(t.book.shared) {
			return "", errNoBook
		}
		return t.book.shared[i], nil
	case "b":
		if text == "1" {
			return "TRUE", nil
		}
		return "FALSE", nil
	case "e":
		return "", mistake(t.line, t.at+1, "the cell holds the error %q", text)
	case "", "n":
		if strings.ContainsAny(text, "eE") || len(text) > 15 {
			return "", mistake(t.line, t.at+1, "the cell holds the number %s, which the spreadsheet may have rounded; make it a text", text)
		}
	}
	return text, nil
}

// each goes through the tokens of a part. Nothing outside the file is read, and
// no entities but the five of XML are known.
func (b *book) each(part string, take func(xml.Token) error) error {
	f := b.parts[strings.ToLower(part)]
	if f == nil {
		return errNoBook
	}
	r, err := f.Open()
	if err != nil {
		return errNoBook
	}
	defer r.Close()
	in := xml.NewDecoder(&bounded{r, &b.left})
	for {
		token, err := in.RawToken()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errBomb):
			return mistake(0, 0, "the file unpacks to more than %d bytes", b.rows.limits.Bytes)
		case err != nil:
			return errNoBook
		}
		if err := take(token); err != nil {
			return err
		}
	}
}

var errBomb = errors.New("too large")

// bounded reads until a budget that several share is used up.
type bounded struct {
	in   io.Reader
	left *int64
}

// Read reads what is left at most.
func (b *bounded) Read(p []byte) (int, error) {
	if *b.left <= 0 {
		return 0, errBomb
	}
	n, err := b.in.Read(p[:min(int64(len(p)), *b.left)])
	*b.left -= int64(n)
	return n, err
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// columnOf reads the letters of a place such as B12.
func columnOf(place string) (int, bool) {
	column := 0
	for i := range len(place) {
		c := place[i]
		if c < 'A' || c > 'Z' {
			return column - 1, i > 0
		}
		if column = column*26 + int(c-'A') + 1; column > 1<<20 {
			return column, true // beyond every limit
		}
	}
	return 0, false
}
