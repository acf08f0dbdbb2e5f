package store

import (
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// faultyDisk stands between SQLite and the file system of this process, and
// lets operations that change files go wrong.
type faultyDisk struct {
	mu     sync.Mutex
	fault  fault
	fail   int // the operation that fails, counting from 1; 0: none
	onward bool
	count  int
	hits   int
}

// fault is what can go wrong: which operations, and what SQLite is told.
type fault struct {
	name  string
	write int32 // returned by a write; 0: writes go well
	short bool  // half of it is written before
	sync  int32
}

var faults = []fault{
	{name: "no space", write: sqlite3.SQLITE_FULL},
	{name: "EIO", write: sqlite3.SQLITE_IOERR_WRITE, sync: sqlite3.SQLITE_IOERR_FSYNC},
	{name: "short write", write: sqlite3.SQLITE_FULL, short: true},
	{name: "fsync fails", sync: sqlite3.SQLITE_IOERR_FSYNC},
}

var (
	disk    faultyDisk
	openVFS func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	methods sync.Map // SQLite's own methods of a file -> ours
)

// arm lets the n-th operation from now on go wrong, and with onward all after
// it; n of 0 only counts.
func (d *faultyDisk) arm(f fault, n int, onward bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.fail, d.onward, d.count, d.hits = f, n, onward, 0, 0
}

// disarm mends the disk, and says how many operations there were and how many
// of them went wrong.
func (d *faultyDisk) disarm() (count, hits int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = 0
	return d.count, d.hits
}

// strikes counts an operation that would answer code when it fails.
func (d *faultyDisk) strikes(code func(fault) int32) (int32, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if code(d.fault) == 0 {
		return 0, false
	}
	d.count++
	if d.fail == 0 || d.count < d.fail || d.count > d.fail && !d.onward {
		return 0, false
	}
	d.hits++
	return code(d.fault), d.fault.short
}

// installDisk puts the disk under every database that is opened from now on.
var installDisk = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	vfs := at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	openVFS = function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](vfs.FxOpen)
	vfs.FxOpen = pointer(openFile)
})

func openFile(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := openVFS(tls, vfs, name, file, flags, out)
	f := at[sqlite3.Tsqlite3_file](file)
	if rc != sqlite3.SQLITE_OK || f.FpMethods == 0 {
		return rc
	}
	ours, ok := methods.Load(f.FpMethods)
	if !ok {
		m := *at[sqlite3.Tsqlite3_io_methods](f.FpMethods)
		own := realFile{
			write:    function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](m.FxWrite),
			truncate: function[func(*libc.TLS, uintptr, int64) int32](m.FxTruncate),
			sync:     function[func(*libc.TLS, uintptr, int32) int32](m.FxSync),
		}
		copied := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(m)))
		m.FxWrite, m.FxTruncate, m.FxSync = pointer(own.xWrite), pointer(own.xTruncate), pointer(own.xSync)
		*at[sqlite3.Tsqlite3_io_methods](copied) = m
		ours, _ = methods.LoadOrStore(f.FpMethods, copied)
		methods.Store(copied, copied)
		kept.Store(copied, &own)
	}
	f.FpMethods = ours.(uintptr)
	return rc
}

// realFile is SQLite's own way to change a file.
type realFile struct {
	write    func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	truncate func(*libc.TLS, uintptr, int64) int32
	sync     func(*libc.TLS, uintptr, int32) int32
}

func (r realFile) xWrite(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	if rc, short := disk.strikes(func(f fault) int32 { return f.write }); rc != 0 {
		if short {
			r.write(tls, file, data, n/2, offset)
		}
		return rc
	}
	return r.write(tls, file, data, n, offset)
}

func (r realFile) xTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	if rc, _ := disk.strikes(func(f fault) int32 { return f.write }); rc != 0 {
		return sqlite3.SQLITE_IOERR_TRUNCATE
	}
	return r.truncate(tls, file, size)
}

func (r realFile) xSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	if rc, _ := disk.strikes(func(f fault) int32 { return f.sync }); rc != 0 {
		return rc
	}
	return r.sync(tls, file, flags)
}

var kept sync.Map // what C memory alone refers to, for the collector

// at views C memory as a value.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// function is the Go function behind a pointer of the translated C.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

// pointer is a Go function as the translated C keeps it.
func pointer[F any](f F) uintptr {
	kept.Store(&f, f)
	return *(*uintptr)(unsafe.Pointer(&f))
}

// TestDiskFaultStrikes makes sure that the disk under the store is the one
// that fails: without that the others would show nothing.
func TestDiskFaultStrikes(t *testing.T) {
	installDisk()
	s := open(t, Options{SealAt: -1})
	for _, f := range faults {
		disk.arm(f, 1, true)
		_, err := s.Append(t.Context(), shop, events(0, 1))
		if _, hits := disk.disarm(); err == nil || hits == 0 {
			t.Errorf("%s: got error %v after %d strikes", f.name, err, hits)
		}
	}
}
