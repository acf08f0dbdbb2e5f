package release

import (
	"io"
	"os"
	"path/filepath"
)

// disk is the file operations that writing a release takes, so that a test can
// let any of them go wrong.
type disk interface {
	MkdirAll(dir string) error
	Create(path string) (diskFile, error) // new; an existing file is an error
	Rename(from, to string) error
	Link(from, to string) error // fails with os.ErrExist when to is there
	Remove(path string) error
	RemoveAll(path string) error
	SyncDir(dir string) error
}

type diskFile interface {
	io.Writer
	Sync() error
	Close() error
}

type osDisk struct{}

func (osDisk) MkdirAll(dir string) error    { return os.MkdirAll(dir, 0o755) }
func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) Link(from, to string) error   { return os.Link(from, to) }
func (osDisk) Remove(path string) error     { return os.Remove(path) }
func (osDisk) RemoveAll(path string) error  { return os.RemoveAll(path) }

func (osDisk) Create(path string) (diskFile, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

func (osDisk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		d.Close()
		return err
	}
	return d.Close()
}

// makeDurable creates dir and the directories above it, and syncs each parent
// that had to take a new entry.
func makeDurable(d disk, dir string) error {
	var made []string
	for p := dir; ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil || p == filepath.Dir(p) {
			break
		}
		made = append(made, p)
	}
	if err := d.MkdirAll(dir); err != nil {
		return err
	}
	for i := len(made) - 1; i >= 0; i-- {
		if err := d.SyncDir(filepath.Dir(made[i])); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes path by f and syncs it; its directory is the caller's.
func writeFile(d disk, path string, f func(io.Writer) error) error {
	file, err := d.Create(path)
	if err != nil {
		return err
	}
	if err := f(file); err != nil {
		file.Close()
		return err
	}
	if err := file.Sync(); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
