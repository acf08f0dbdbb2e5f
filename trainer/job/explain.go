package job

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/attune-rec/attune/features/store"
)

// Explain adds to an error of the file system what to do about it.
func Explain(err error) error {
	switch {
	case errors.Is(err, store.ErrFull):
		return err // says so
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the disk is full: make room, or choose another folder: %w", err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the folder cannot be written to: give this user the right to, or choose another: %w", err)
	}
	return err
}
