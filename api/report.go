package api

import "time"

// Report is a table for people who look into who may do what.
type Report struct {
	Title string `json:"title"`
	// The state that was looked at, or the later one of two.
	Revision uint64    `json:"revision"`
	AsOf     time.Time `json:"as_of"`
	Columns  []string  `json:"columns"`
	// The cells of each row, in the order of the columns.
	Rows [][]string `json:"rows"`
	// What a reader has to know to understand it rightly.
	Notes []string `json:"notes,omitempty"`
}
