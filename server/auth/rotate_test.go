package auth_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/server/app"
)

// A key is changed for another beside a running server, as SECURITY.md says: no
// call is refused meanwhile, the old one ends soon after it was revoked, neither
// is kept or shown again, and the audit log tells of both.
func TestKeysAreRotatedWithoutDowntime(t *testing.T) {
	ctx := context.Background()
	var cfg app.Config
	s, _ := serve(t, nil, func(c *app.Config) { cfg = *c })
	conn, err := grpc.NewClient(s.GRPC(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer conn.Close()
	releases := attunev1.NewReleaseServiceClient(conn)
	call := func(key string) error {
		_, err := releases.ListReleases(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key), &attunev1.ListReleasesRequest{Shop: ours})
		return err
	}
	create := func(name string) (key, id string) {
		var out strings.Builder
		must(t, (&app.KeysCreate{Name: name, Role: []string{"analyst"}, Shop: []string{ours}, Expires: time.Hour}).Run(ctx, &cfg, &out))
		key, _, _ = strings.Cut(out.String(), "\n")
		return key, strings.Split(key, "_")[1]
	}
	soon := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within a minute", what)
			}
		}
	}
	first, firstID := create("the first")
	soon("the first key is taken", func() bool { return call(first) == nil })

	var now atomic.Pointer[string]
	now.Store(&first)
	stop, refused := make(chan struct{}), make(chan error, 1)
	go func() { // somebody who calls all the while
		defer close(refused)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := call(*now.Load()); err != nil {
				refused <- err
				return
			}
		}
	}()
	second, secondID := create("the second")
	soon("the second key is taken", func() bool { return call(second) == nil })
	must(t, call(first))
	now.Store(&second)
	must(t, (&app.KeysRevoke{ID: firstID}).Run(ctx, &cfg, &strings.Builder{}))
	soon("the first key is refused", func() bool { return status.Code(call(first)) == codes.Unauthenticated })
	must(t, call(second))
	close(stop)
	// The call under way when the keys were changed had the old one, good then.
	if err := <-refused; err != nil {
		t.Errorf("a caller was refused meanwhile: %v", err)
	}

	var list strings.Builder
	must(t, (&app.KeysList{JSON: true}).Run(ctx, &cfg, &list))
	for _, k := range []struct{ text, id string }{{first, firstID}, {second, secondID}} {
		secret := strings.TrimPrefix(k.text, "attune_"+k.id+"_")
		if len(secret) != 64 {
			t.Fatalf("got the key %q, want its secret in 64 digits", k.text)
		}
		if strings.Contains(list.String(), secret) || !strings.Contains(list.String(), k.id) {
			t.Errorf("the list shows the secret, or lacks %s: %s", k.id, list.String())
		}
		if n := inFiles(t, cfg.Data, secret); n != 0 {
			t.Errorf("the secret of %s is found %d times in the data directory", k.id, n)
		}
		if inFiles(t, cfg.Data, k.id) == 0 {
			t.Error("the id of a key is not found in the data directory: the search is blind")
		}
	}
	var log strings.Builder
	must(t, (&app.AuditList{Shop: ours}).Run(ctx, &cfg, &log))
	for _, want := range []string{`"create key"`, `"revoke key"`, `"key:` + firstID, `"key:` + secondID, "the second: analyst", `"operator:`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the audit log lacks %s:\n%s", want, log.String())
		}
	}
	must(t, (&app.AuditVerify{}).Run(ctx, &cfg, &strings.Builder{}))
}

// inFiles counts a text in all files below a directory.
func inFiles(t *testing.T, dir, text string) (n int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		n += bytes.Count(b, []byte(text))
		return err
	}))
	return n
}
