package job

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/attune-rec/attune/features/store"
)

// Explain adds to an error of the file system what to do about it, as the last
// line: whoever reads only that knows.
func Explain(err error) error {
	switch {
	case errors.Is(err, store.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return howTo{err, "the disk is full: make room, or choose another folder; what was stored before is whole"}
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return howTo{err, "the folder cannot be written to: give this user the right to, or choose another"}
	}
	return err
}

// howTo is an error whose last line says what to do.
type howTo struct {
	error
	todo string
}

func (r howTo) Error() string {
	cause := strings.ReplaceAll(r.error.Error(), "\n", "; ")
	return cause + "\n" + r.todo
}

func (r howTo) Unwrap() error { return r.error }
