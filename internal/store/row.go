package store

import (
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"
)

// record is a row that belongs to a tenant's ordered collection.
type record[R any] interface {
	comparable
	key() string   // what it is, wherever it stands
	number() int64 // its place
	at(number int64) R
}

// What one statement may carry: databases limit the number of placeholders and
// the size of a packet, and the time that SQLite's driver takes for a statement
// grows with the square of its placeholders.
const (
	chunkRows       = 1000
	chunkRowsSQLite = 100
	chunkBytes      = 1 << 20
	maxDocument     = 4 << 20
)

// stored is a record that its table finds by a handle: its id or code.
type stored[R any] interface {
	record[R]
	sized
	name() string // in the history
	handle() any
	image() any // in the history
}

// replace turns what a table holds of the tenant into what is wanted and notes
// every difference. Changed rows are deleted and written anew, so that there
// are two kinds of statements, each for many rows.
func replace[R stored[R]](w *write, table, column, kind string, have, want []R) error {
	edits := diff(have, want)
	var gone []any
	var added []R
	for _, e := range edits {
		var before, after any
		name := ""
		if e.hadOld {
			gone, before, name = append(gone, e.old.handle()), e.old.image(), e.old.name()
		}
		if e.hasNew {
			added, after, name = append(added, e.new), e.new.image(), e.new.name()
		}
		if err := w.note(kind, name, before, after); err != nil {
			return err
		}
	}
	if err := remove(w, table, column, gone); err != nil {
		return err
	}
	if err := insert(w, table, added); err != nil {
		return err
	}
	return readBack(w, table, column, added)
}

// readBack makes sure that these rows are what was written. What a database
// makes of a row must not be found out when it is loaded.
func readBack[R stored[R]](w *write, table, column string, rows []R) error {
	for chunk := range slices.Chunk(rows, w.chunk) {
		wanted := make(map[any]R, len(chunk))
		for _, r := range chunk {
			wanted[r.handle()] = r
		}
		var there []R
		err := w.tx.Table(table).Where("tenant_id = ? AND "+column+" IN ?", w.tenant.ID, slices.Collect(maps.Keys(wanted))).Find(&there).Error
		if err != nil {
			return fmt.Errorf("read back from %s: %w", table, err)
		}
		for _, r := range there {
			if r != wanted[r.handle()] {
				return fmt.Errorf("%s %q was written to %s in one way and is there in another", column, fmt.Sprint(r.handle()), table)
			}
			delete(wanted, r.handle())
		}
		for handle := range wanted {
			return fmt.Errorf("%s %q was written to %s and is not there", column, fmt.Sprint(handle), table)
		}
	}
	return nil
}

// remove deletes exactly these rows of the tenant, or fails.
func remove(w *write, table, column string, handles []any) error {
	for chunk := range slices.Chunk(handles, w.chunk) {
		done := w.tx.Exec("DELETE FROM "+table+" WHERE tenant_id = ? AND "+column+" IN ?", w.tenant.ID, chunk)
		if err := exactly(len(chunk), done); err != nil {
			return fmt.Errorf("delete from %s: %w", table, err)
		}
	}
	return nil
}

// insert writes exactly these rows, or fails.
func insert[R sized](w *write, table string, rows []R) error {
	for len(rows) > 0 {
		n := fitting(rows, w.chunk)
		chunk := rows[:n]
		if err := exactly(n, w.tx.Table(table).Create(&chunk)); err != nil {
			return fmt.Errorf("insert into %s: %w", table, err)
		}
		rows = rows[n:]
	}
	return nil
}

// sized is a row that knows about how many bytes it takes.
type sized interface{ size() int }

// fitting is how many of the rows, at least one, fit into one statement.
func fitting[R sized](rows []R, limit int) int {
	bytes := 0
	for i, r := range rows {
		if bytes += r.size(); i > 0 && (i == limit || bytes > chunkBytes) {
			return i
		}
	}
	return len(rows)
}

// exactly makes a statement that met another number of rows than meant an error.
func exactly(want int, done *gorm.DB) error {
	if done.Error != nil {
		return done.Error
	}
	if done.RowsAffected != int64(want) {
		return fmt.Errorf("the statement met %d rows instead of %d", done.RowsAffected, want)
	}
	return nil
}
