package sheet

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"io"
	"strconv"
)

// An XLSX file is a zip of XML parts. The few that a table needs are written as
// they stand here, the table last, so that nothing is kept or put into files on
// the way.
const (
	xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	main    = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	rels    = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	packed  = "http://schemas.openxmlformats.org/package/2006/"
)

var parts = []struct{ name, text string }{
	{"[Content_Types].xml", `<Types xmlns="` + packed + `content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/>` +
		`<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>` +
		`<Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>` +
		`<Override PartName="/` + sheetPart + `" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`},
	{"_rels/.rels", `<Relationships xmlns="` + packed + `relationships">` +
		`<Relationship Id="rId1" Type="` + rels + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
	{"xl/workbook.xml", `<workbook ` + main + ` xmlns:r="` + rels + `"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`},
	{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="` + packed + `relationships">` +
		`<Relationship Id="rId1" Type="` + rels + `/worksheet" Target="worksheets/sheet1.xml"/>` +
		`<Relationship Id="rId2" Type="` + rels + `/styles" Target="styles.xml"/></Relationships>`},
	// Style 1 is text: what is typed into a cell of it stays as it was typed.
	{"xl/styles.xml", `<styleSheet ` + main + `><fonts count="1"><font/></fonts><fills count="1"><fill/></fills><borders count="1"><border/></borders>` +
		`<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2"><xf/><xf numFmtId="49" applyNumberFormat="1"/></cellXfs></styleSheet>`},
}

const sheetPart = "xl/worksheets/sheet1.xml"

type xlsxWriter struct {
	zip   *zip.Writer
	sheet *bufio.Writer
	line  int
}

func newXLSX(w io.Writer) *xlsxWriter { return &xlsxWriter{zip: zip.NewWriter(w)} }

func (w *xlsxWriter) begin(columns int) error {
	for _, p := range parts {
		out, err := w.zip.Create(p.name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(out, xmlHead+p.text); err != nil {
			return err
		}
	}
	out, err := w.zip.Create(sheetPart)
	if err != nil {
		return err
	}
	w.sheet = bufio.NewWriter(out)
	_, err = w.sheet.WriteString(xmlHead + `<worksheet ` + main + `><sheetViews><sheetView workbookViewId="0">` +
		`<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>` +
		`<cols><col min="1" max="` + strconv.Itoa(max(columns, 1)) + `" width="24" style="1" customWidth="1"/></cols><sheetData>`)
	return err
}

func (w *xlsxWriter) row(cells []string) error {
	if w.sheet == nil {
		if err := w.begin(len(cells)); err != nil {
			return err
		}
	}
	w.line++
	line := strconv.Itoa(w.line)
	_, _ = w.sheet.WriteString(`<row r="` + line + `">`) // bufio keeps the first error for the end
	for i, cell := range cells {
		if cell == "" {
			continue
		}
		_, _ = w.sheet.WriteString(`<c r="` + columnName(i) + line + `" s="1" t="inlineStr"><is><t xml:space="preserve">`)
		if err := xml.EscapeText(w.sheet, []byte(cell)); err != nil {
			return err
		}
		_, _ = w.sheet.WriteString("</t></is></c>")
	}
	_, err := w.sheet.WriteString("</row>")
	return err
}

func (w *xlsxWriter) close() error {
	if w.sheet == nil {
		if err := w.begin(0); err != nil {
			return err
		}
	}
	if _, err := w.sheet.WriteString("</sheetData></worksheet>"); err != nil {
		return err
	}
	if err := w.sheet.Flush(); err != nil {
		return err
	}
	return w.zip.Close()
}

// columnName gives A for 0, Z for 25, AA for 26.
func columnName(i int) string {
	name := ""
	for i++; i > 0; i = (i - 1) / 26 {
		name = string(rune('A'+(i-1)%26)) + name
	}
	return name
}
