package privacy_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/app"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve runs a server over dir until stop.
func serve(t *testing.T, dir string, change func(*app.Config)) (conn *grpc.ClientConn, stop func()) {
	t.Helper()
	c := app.Config{
		Data: dir, GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", LogFormat: "text", Follow: time.Second, Shoppers: 100, Queue: 100,
		EventAge: time.Hour, ClockAhead: time.Minute, MaxMessage: 1 << 20, Grace: 10 * time.Second, StoreWait: 5 * time.Second,
	}
	if change != nil {
		change(&c)
	}
	s, err := app.Build(context.Background(), c, slog.New(slog.DiscardHandler), "test")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	<-ready
	conn, err = grpc.NewClient(s.GRPC(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	return conn, func() {
		must(t, conn.Close())
		cancel()
		must(t, <-done)
	}
}

// A person gets everything about them, is erased, and stands nowhere under
// their own name, the audit log included, which tells of all of it.
func TestExportEraseAudit(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	conn, stop := serve(t, dir, nil)
	users, events, private := attunev1.NewUserServiceClient(conn), attunev1.NewEventServiceClient(conn), attunev1.NewPrivacyServiceClient(conn)
	for _, id := range []string{"planted-gone", "planted-control"} {
		_, err := users.UpsertUser(ctx, &attunev1.UpsertUserRequest{User: &attunev1.User{Id: id, Market: "DE"}})
		must(t, err)
		_, err = events.Collect(ctx, &attunev1.CollectRequest{Event: &attunev1.Event{
			Id: "event of " + id, Type: attunev1.EventType_EVENT_TYPE_PURCHASE, User: id, Item: "mug", Time: timestamppb.Now(), Order: "order of " + id,
		}})
		must(t, err)
	}
	data, err := private.ExportUser(ctx, &attunev1.ExportUserRequest{Id: "planted-gone"})
	must(t, err)
	b, err := json.Marshal(data.GetData().AsMap())
	must(t, err)
	if text := string(b); !strings.Contains(text, "order of planted-gone") || strings.Contains(text, "control") || !strings.Contains(text, `"market":"DE"`) {
		t.Errorf("got the export %s", text)
	}
	c, err := private.EraseUser(ctx, &attunev1.EraseUserRequest{Id: "planted-gone"})
	must(t, err)
	removed := map[string]int64{}
	for _, p := range c.GetPlaces() {
		removed[p.GetName()] = p.GetRemoved()
	}
	if removed["users"] != 1 || removed["events"] != 1 {
		t.Errorf("got the certificate %v, want a user and an event", removed)
	}
	for _, name := range []string{"answers", "refused rows", "sealed events", "data keys", "risk flags", "histories in memory", "profiles and their file", "signals and their file", "answers not written yet"} {
		if _, ok := removed[name]; !ok {
			t.Errorf("got the certificate %v, want %s in it", removed, name)
		}
	}
	if _, err := users.GetUser(ctx, &attunev1.GetUserRequest{Id: "planted-gone"}); status.Code(err) != codes.NotFound {
		t.Errorf("after erasing: got %v, want NotFound", err)
	}
	if _, err := private.ExportUser(ctx, &attunev1.ExportUserRequest{Shop: "nowhere", Id: "x"}); status.Code(err) != codes.NotFound {
		t.Errorf("unknown shop: got %v, want NotFound", err)
	}
	stop()

	found := map[string]int{}
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, mark := range []string{"planted-gone", "order of planted-control"} {
			found[mark] += strings.Count(string(b), mark)
		}
		return err
	}))
	if found["planted-gone"] > 0 || found["order of planted-control"] == 0 {
		t.Errorf("found %v, want nothing of the person gone and something of the other", found)
	}
	st, err := store.OpenReader(ctx, store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer st.Close()
	var told []string
	must(t, st.ScanAudit(ctx, features.DefaultShop, func(a *store.Audited) error {
		if a.Actor != "anonymous" || len(a.Subject) != 32 {
			t.Errorf("got %+v, want the caller and a pseudonym", a)
		}
		told = append(told, a.Method[strings.LastIndex(a.Method, "/")+1:]+" "+a.Detail)
		return nil
	}))
	want := "UpsertUser called, UpsertUser called, ExportUser called, EraseUser called, GetUser called, GetUser failed: NotFound"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("audit log: got %s, want %s", got, want)
	}
}

// What is audited is a call with one request: streams would pass unwritten.
func TestNoStreamAsksForTheAuditLog(t *testing.T) {
	protoregistry.GlobalFiles.RangeFilesByPackage("attune.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				p, _ := proto.GetExtension(m.Options(), attunev1.E_Policy).(*attunev1.Policy)
				if m.IsStreamingClient() && p.GetAudit() != attunev1.Audit_AUDIT_UNSPECIFIED {
					t.Errorf("%s is a stream and asks for the audit log", m.FullName())
				}
			}
		}
		return true
	})
}
