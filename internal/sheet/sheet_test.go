package sheet_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"github.com/bailiwick/bailiwick/internal/sheet"
)

var limits = sheet.Limits{Rows: 100, Columns: 30, Cell: 1000, Bytes: 1 << 20}

func write(t testing.TB, f sheet.Format, rows ...[]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := sheet.NewWriter(&out, f)
	for _, row := range rows {
		if err := w.Row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(body []byte, f sheet.Format, l sheet.Limits) (rows [][]string, lines []int, err error) {
	err = sheet.Read(body, f, l, func(line int, cells []string) error {
		rows, lines = append(rows, cells), append(lines, line)
		return nil
	})
	return rows, lines, err
}

// nasty is what people and attackers put into cells.
var nasty = []string{
	"=1+1", "+49 30 1", "-7", "@SUM(A1)", "\tx", "\nx", "＝1", "＋1", "－1", "＠x", "'=1", "''=1", "'t Hooft", "'", "''",
	`=cmd|'/C calc'!A1`, "007", "1e5", "a,b;c\td", `say "hi"`, "two\nlines", " edge ", "Grüße 漢字 🎉", "<a&b>", "]]>", "é", "TRUE", "x",
}

// Req 107: what is downloaded and sent back is what it was, cell by cell.
func TestRead_isWhatWasWritten(t *testing.T) {
	for _, f := range []sheet.Format{sheet.CSV, sheet.XLSX} {
		got, lines, err := read(write(t, f, []string{"id", "", "name"}, nasty, []string{"", "b", "c"}), f, limits)
		if err != nil {
			t.Fatal(err)
		}
		if want := [][]string{{"id", "", "name"}, nasty, {"", "b", "c"}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q", f, got)
		}
		if f == sheet.XLSX && !slices.Equal(lines, []int{1, 2, 3}) {
			t.Errorf("lines %v", lines)
		}
	}
}

// No cell begins with what a spreadsheet would calculate (ASVS 1.2.10), as a
// reader who knows nothing of our apostrophes sees it.
func TestWriter_guardsFormulas(t *testing.T) {
	for _, cell := range nasty {
		book, err := excelize.OpenReader(bytes.NewReader(write(t, sheet.XLSX, []string{cell})))
		if err != nil {
			t.Fatal(err)
		}
		seen, err := book.GetCellValue("Sheet1", "A1")
		if err != nil {
			t.Fatal(err)
		}
		if first, _ := utf8.DecodeRuneInString(seen); strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
			t.Errorf("%q stands there as %q", cell, seen)
		}
		if formula, _ := book.GetCellFormula("Sheet1", "A1"); formula != "" {
			t.Errorf("%q is the formula %q", cell, formula)
		}
	}
	if text := string(write(t, sheet.CSV, []string{"=1", "x"})); text != "\uFEFF'=1,x\r\n" {
		t.Errorf("got %q", text)
	}
}

// An independent reader of XLSX finds every cell at its place, and what an
// independent writer makes of texts, numbers and flags can be read.
func TestXLSX_isWhatOthersUnderstand(t *testing.T) {
	wide := make([]string, 30)
	for i := range wide {
		wide[i] = fmt.Sprint("c", i)
	}
	book, err := excelize.OpenReader(bytes.NewReader(write(t, sheet.XLSX, wide, nasty)))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := book.GetRows("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rows[0], wide) || rows[1][26] != nasty[26] || rows[1][22] != nasty[22] {
		t.Errorf("got %q", rows)
	}

	theirs := excelize.NewFile()
	for at, v := range map[string]any{"A1": "id", "C1": "shared", "A2": "shared", "B3": 42, "C3": true, "D3": "Grüße\nzwei", "AA4": "=no formula"} {
		if err := theirs.SetCellValue("Sheet1", at, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := theirs.SetCellRichText("Sheet1", "E3", []excelize.RichTextRun{{Text: "rich "}, {Text: "text"}}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := theirs.Write(&out); err != nil {
		t.Fatal(err)
	}
	got, lines, err := read(out.Bytes(), sheet.XLSX, limits)
	if err != nil {
		t.Fatal(err)
	}
	far := make([]string, 27)
	far[26] = "=no formula"
	want := [][]string{{"id", "", "shared"}, {"shared"}, {"", "42", "TRUE", "Grüße\nzwei", "rich text"}, far}
	if !reflect.DeepEqual(got, want) || !slices.Equal(lines, []int{1, 2, 3, 4}) {
		t.Errorf("got %q at %v", got, lines)
	}
}

// Formulas are neither calculated nor taken for what they were worth once.
func TestXLSX_refusesFormulas(t *testing.T) {
	book := excelize.NewFile()
	if err := errors.Join(book.SetCellValue("Sheet1", "A1", "id"), book.SetCellFormula("Sheet1", "B2", "1+1")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := book.Write(&out); err != nil {
		t.Fatal(err)
	}
	_, _, err := read(out.Bytes(), sheet.XLSX, limits)
	wantMistake(t, err, 2, 2, "formula")
}

func wantMistake(t *testing.T, err error, line, column int, reason string) {
	t.Helper()
	var m *sheet.Mistake
	if !errors.As(err, &m) || m.Line != line || m.Column != column || !strings.Contains(m.Reason, reason) {
		t.Errorf("got %v, want line %d, column %d: …%s…", err, line, column, reason)
	}
}

func TestCSV_foreignFiles(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want [][]string
	}{
		"semicolons":               {"id;name\r\n1;a,b\r\n", [][]string{{"id", "name"}, {"1", "a,b"}}},
		"tabs":                     {"id\tname\n1\tb\n", [][]string{{"id", "name"}, {"1", "b"}}},
		"a hint":                   {"sep=;\nid;name\n1;b\n", [][]string{{"id", "name"}, {"1", "b"}}},
		"no line break at the end": {"id\n1", [][]string{{"id"}, {"1"}}},
		"blank rows":               {"id,name\n\n,\n1,b\n", [][]string{{"id", "name"}, {"1", "b"}}},
		"without the mark":         {"id\n=1\n", [][]string{{"id"}, {"=1"}}},
		"an own apostrophe":        {"id\n't Hooft\n", [][]string{{"id"}, {"'t Hooft"}}},
	} {
		if got, _, err := read([]byte(c.text), sheet.CSV, limits); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestRead_saysWhereItIsWrong(t *testing.T) {
	long := strings.Repeat("x", 1001)
	for name, c := range map[string]struct {
		text         string
		line, column int
		reason       string
	}{
		"quotes":           {"id,name\n1,\"a\"b\n", 2, 0, "\""},
		"never closed":     {"id\n\"a\n\n", 2, 0, "\""},
		"UTF-16":           {"\xFF\xFEi\x00", 1, 0, "UTF-16"},
		"an old code page": {"id\n1\nGr\xFCn\n", 3, 0, "UTF-8"},
		"XLSX":             {"PK\x03\x04", 1, 0, "XLSX"},
		"a wide row":       {"id\n" + strings.Repeat(",", 29) + "x,y\n", 2, 31, "30 columns"},
		"a long cell":      {"id,name\n1,2\n1," + long + "\n", 3, 2, "1000 bytes"},
		"many rows":        {strings.Repeat("x\n", 101), 101, 0, "100 rows"},
		"strange hint":     {"sep=x\nid\n", 1, 0, "separated"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read([]byte(c.text), sheet.CSV, limits)
			wantMistake(t, err, c.line, c.column, c.reason)
		})
	}
}

// zipped makes an XLSX file with parts of one's own.
func zipped(t *testing.T, parts map[string]string) []byte {
	t.Helper()
	ours, err := zip.NewReader(bytes.NewReader(write(t, sheet.XLSX, []string{"id"})), int64(len(write(t, sheet.XLSX, []string{"id"}))))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range ours.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if own, ok := parts[f.Name]; ok {
			text = []byte(own)
		}
		part, err := w.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const table = "xl/worksheets/sheet1.xml"

// What a small file unpacks to is bounded, and so is what is kept of it.
func TestXLSX_bombs(t *testing.T) {
	cell := `<c t="inlineStr"><is><t>x</t></is></c>`
	for name, c := range map[string]struct{ text, reason string }{
		"unpacks to much":   {"<sheetData>" + strings.Repeat(" ", 1<<21), "unpacks to more"},
		"one long text":     {"<row><c t=\"inlineStr\"><is><t>" + strings.Repeat("x", 5000) + "</t></is></c></row>", "1000 bytes"},
		"many cells":        {"<row>" + strings.Repeat(cell, 31) + "</row>", "30 columns"},
		"a far cell":        {`<row><c r="XFD1" t="inlineStr"><is><t>x</t></is></c></row>`, "30 columns"},
		"a very far cell":   {`<row><c r="` + strings.Repeat("Z", 60) + `1" t="inlineStr"><is><t>x</t></is></c></row>`, "30 columns"},
		"many rows":         {strings.Repeat("<row>"+cell+"</row>", 101), "100 rows"},
		"rows backwards":    {`<row r="5">` + cell + `</row><row r="4">` + cell + `</row>`, "damaged"},
		"an entity":         {`<!DOCTYPE a [<!ENTITY b "bb">]><row><c t="inlineStr"><is><t>&b;</t></is></c></row>`, "damaged"},
		"no such text":      {`<row><c t="s"><v>7</v></c></row>`, "damaged"},
		"an error":          {`<row><c t="e"><v>#REF!</v></c></row>`, "#REF!"},
		"a rounded number":  {`<row><c><v>1.2345678901234567E+19</v></c></row>`, "rounded"},
		"a deep hole":       {strings.Repeat("<a>", 100_000), ""},
		"another code page": {`<?xml version="1.0" encoding="latin1"?><row/>`, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(zipped(t, map[string]string{table: c.text}), sheet.XLSX, limits)
			if c.reason == "" {
				return // it need not be refused, only endured
			}
			var m *sheet.Mistake
			if !errors.As(err, &m) || !strings.Contains(m.Reason, c.reason) {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, junk := range []string{"", "PK", "PK\x03\x04 and no more", "id,name\n"} {
		if _, _, err := read([]byte(junk), sheet.XLSX, limits); err == nil {
			t.Errorf("%q was read", junk)
		}
	}
}

// One text that no spreadsheet can hold keeps nobody from the rest of the table.
func TestWriter_replacesWhatNoneCanKeep(t *testing.T) {
	for cell, want := range map[string]string{"a\x00": "a\uFFFD", "a\rb": "a\uFFFDb", "\x1b[31m": "\uFFFD[31m", "\xff": "\uFFFD", "\uFFFE": "\uFFFD", "\r=1": "\uFFFD=1"} {
		for _, f := range []sheet.Format{sheet.CSV, sheet.XLSX} {
			var file bytes.Buffer
			w := sheet.NewWriter(&file, f)
			if err := errors.Join(w.Row("id", "name"), w.Row("id", cell), w.Close()); err != nil {
				t.Fatal(err)
			}
			rows, _, err := read(file.Bytes(), f, limits)
			if err != nil || len(rows) != 2 || rows[1][1] != want {
				t.Errorf("%s: %q is written as %q: %v", f, cell, rows, err)
			}
		}
	}
}

// FuzzCSV: whatever cells hold, they come back as they were from both formats,
// and none of them begins like a formula. Whatever a file holds, reading it ends.
func FuzzCSV(f *testing.F) {
	for _, cell := range nasty {
		f.Add(cell, "x", []byte(cell+",x\n"))
	}
	f.Fuzz(func(t *testing.T, a, b string, file []byte) {
		for _, format := range []sheet.Format{sheet.CSV, sheet.XLSX} {
			_, _, _ = read(file, format, limits)
			var out bytes.Buffer
			w := sheet.NewWriter(&out, format)
			if w.Row("first", a, b) != nil || len(a) > 900 || len(b) > 900 {
				continue
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, _, err := read(out.Bytes(), format, limits)
			if err != nil || len(got) != 1 {
				t.Fatalf("%s: %q, %v", format, got, err)
			}
			for len(got[0]) < 3 {
				got[0] = append(got[0], "")
			}
			if got[0][1] != a || got[0][2] != b {
				t.Fatalf("%s: wrote %q and %q, read %q", format, a, b, got[0])
			}
		}
	})
}
