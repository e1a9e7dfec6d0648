package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// FileOptions for OpenFile. Path is required; the zero value of the rest works.
type FileOptions struct {
	Path     string
	MaxBytes int64         // a file that would become larger is put aside; 64 MiB when 0
	MaxAge   time.Duration // and one that is older; 24 h when 0
	Keep     int           // files put aside that are kept; 14 when 0
	// Sync makes every batch outlive a power cut before it counts as kept. Without
	// it the system writes within some seconds, and files are synced when they are
	// put aside or closed: a crash of this program alone loses nothing.
	Sync  bool
	Clock func() time.Time
}

// File is a sink that writes lines to a file, and puts it aside under the moment
// it ended when it is too large or too old. Nobody else may write to it.
type File struct {
	o     FileOptions
	f     *os.File
	size  int64
	began time.Time
}

// asideForm is how the moment stands in the name of a file put aside: such
// names sort by it.
const asideForm = "20060102T150405.000000000Z"

// OpenFile opens or makes the file, which nobody else on the machine can read.
func OpenFile(o FileOptions) (*File, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 24 * time.Hour
	}
	if o.Keep <= 0 {
		o.Keep = 14
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	o.Path = filepath.Clean(o.Path)
	f := &File{o: o}
	return f, f.open()
}

// open continues a file. A line that a crash has cut short is ended, so that it
// spoils no other.
func (f *File) open() error {
	file, err := os.OpenFile(f.o.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of decisions: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.f, f.size, f.began = file, info.Size(), f.o.Clock()
	if f.size == 0 {
		return nil
	}
	f.began = info.ModTime()
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, f.size-1); err != nil || last[0] == '\n' {
		return err
	}
	return f.append([]byte("\n"))
}

// Name is "file".
func (*File) Name() string { return "file" }

// Write writes one line for each answer.
func (f *File) Write(_ context.Context, batch []access.Recorded) error {
	text := lines(batch)
	if f.f == nil || f.size > 0 && f.size+int64(len(text)) > f.o.MaxBytes {
		if err := f.turn(); err != nil {
			return err
		}
	}
	if err := f.append(text); err != nil {
		return err
	}
	if f.o.Sync {
		return f.f.Sync()
	}
	return nil
}

// append writes all of a text or nothing: half a batch would be there twice
// after the next attempt.
func (f *File) append(text []byte) error {
	if _, err := f.f.Write(text); err != nil {
		return errors.Join(err, f.f.Truncate(f.size))
	}
	f.size += int64(len(text))
	return nil
}

// turn puts the file aside and begins a new one.
func (f *File) turn() error {
	if f.f != nil {
		if err := errors.Join(f.f.Sync(), f.f.Close()); err != nil {
			f.f = nil
			return err
		}
		f.f = nil
		aside := f.o.Path + "." + f.o.Clock().UTC().Format(asideForm)
		if err := os.Rename(f.o.Path, aside); err != nil {
			return err
		}
	}
	return errors.Join(f.open(), f.forget())
}

// forget removes the oldest files that were put aside.
func (f *File) forget() error {
	aside, err := filepath.Glob(globbed(f.o.Path) + ".2*Z")
	if err != nil || len(aside) <= f.o.Keep {
		return err
	}
	slices.Sort(aside)
	for _, path := range aside[:len(aside)-f.o.Keep] {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// globbed takes a path as it is.
func globbed(path string) string {
	var b []byte
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[', '\\':
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}

// Tend puts a file aside that is too old.
func (f *File) Tend(context.Context) error {
	if f.f == nil || f.size == 0 || f.o.Clock().Sub(f.began) < f.o.MaxAge {
		return nil
	}
	return f.turn()
}

// Close ends the file.
func (f *File) Close() error {
	if f.f == nil {
		return nil
	}
	return errors.Join(f.f.Sync(), f.f.Close())
}
