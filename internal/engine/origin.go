package engine

import (
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// origins tells where lines were written, in eight bytes a line: the number of
// the file in the high bits, then line and column. What does not fit in stands
// in a list beside. The zero origins knows of no place.
type origins struct {
	at    []uint64
	files []string
	odd   []access.Origin
}

const (
	fileShift  = 52
	lineShift  = 20
	oddFile    = 1<<12 - 1
	lineLimit  = 1 << (fileShift - lineShift)
	placeLimit = 1 << lineShift
)

// put notes the origin of the i-th of n lines.
func (o *origins) put(i, n int, from access.Origin) {
	if from == (access.Origin{}) {
		return
	}
	if o.at == nil {
		o.at = make([]uint64, n)
	}
	file := slices.Index(o.files, from.File)
	if file < 0 {
		file = len(o.files)
		o.files = append(o.files, from.File)
	}
	if file+1 >= oddFile || from.Line < 0 || from.Line >= lineLimit || from.Column < 0 || from.Column >= placeLimit {
		o.at[i] = oddFile<<fileShift | uint64(len(o.odd))
		o.odd = append(o.odd, from)
		return
	}
	o.at[i] = uint64(file+1)<<fileShift | uint64(from.Line)<<lineShift | uint64(from.Column)
}

// get gives the origin of the i-th line.
func (o *origins) get(i int) access.Origin {
	if o.at == nil || o.at[i] == 0 {
		return access.Origin{}
	}
	packed := o.at[i]
	if packed>>fileShift == oddFile {
		return o.odd[packed&(1<<fileShift-1)]
	}
	return access.Origin{
		File: o.files[packed>>fileShift-1], Line: int(packed >> lineShift & (lineLimit - 1)), Column: int(packed & (placeLimit - 1)),
	}
}
