package auth_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/app"
	"github.com/attune-rec/attune/server/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ours   = "one"
	theirs = "two"
)

var (
	columns = []string{"frontend", "ingest", "analyst", "marketer", "ml_engineer", "privacy_officer", "admin"}
	bad     = []string{"none", "expired", "revoked", "shop", "audience", "alg"}
)

// expected is the table checked in: what each method answers to each column.
func expected(t *testing.T) map[string][]string {
	t.Helper()
	f, err := os.Open("testdata/matrix.txt")
	must(t, err)
	defer f.Close()
	table := map[string][]string{}
	for in := bufio.NewScanner(f); in.Scan(); {
		fields := strings.Fields(in.Text())
		if len(fields) == 0 || fields[0] == "#" || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 1+len(columns)+len(bad) {
			t.Fatalf("%s: got %d answers, want %d", fields[0], len(fields)-1, len(columns)+len(bad))
		}
		if table[fields[0]] != nil {
			t.Fatalf("%s stands in the table twice", fields[0])
		}
		table[fields[0]] = fields[1:]
	}
	return table
}

// methods are those of the API, by the descriptors.
func methods() map[string]protoreflect.MethodDescriptor {
	all := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage("attune.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				all[string(s.Name())+"/"+string(m.Name())] = m
			}
		}
		return true
	})
	return all
}

// ways are the credentials of each column, several where there are several
// kinds: values of the header, "" for none.
func ways(t *testing.T, keys *store.Keys, is *issuer) map[string][]string {
	t.Helper()
	key := func(role, shop string, change func(*store.APIKey)) string {
		text, id, hash, err := auth.NewKey()
		must(t, err)
		k := store.APIKey{ID: id, Hash: hash, Name: role, Roles: []string{role}, Shops: []features.ShopID{features.ShopID(shop)}}
		if change != nil {
			change(&k)
		}
		must(t, keys.Put(context.Background(), k))
		return "Bearer " + text
	}
	all := map[string][]string{}
	for _, role := range columns {
		all[role] = []string{
			key(role, ours, nil), key(role, string(store.AllShops), nil), "Bearer " + is.token(t, is.claims(ours, role)),
			"Bearer " + sign(t, jwt.SigningMethodRS256, "r", is.rsa, is.claims("*", role)),
		}
	}
	expired, elsewhere, future, stranger := is.claims(ours, "admin"), is.claims(ours, "admin"), is.claims(ours, "admin"), is.claims(ours, "admin")
	expired["exp"] = time.Now().Add(-time.Hour).Unix()
	elsewhere["aud"] = "another"
	future["nbf"] = time.Now().Add(time.Hour).Unix()
	stranger["iss"] = "https://issuer.example"
	endless := is.claims(ours, "admin")
	delete(endless, "exp")
	text, id, hash, err := auth.NewKey()
	must(t, err)
	must(t, keys.Put(context.Background(), store.APIKey{ID: id, Hash: hash, Roles: []string{"admin"}, Shops: []features.ShopID{ours}}))
	must(t, keys.Revoke(context.Background(), id))
	other, _, _, err := auth.NewKey()
	must(t, err)
	all["none"] = []string{"", "Bearer ", "Basic " + text, "Bearer " + other, "Bearer attune_x"}
	all["expired"] = []string{
		key("admin", ours, func(k *store.APIKey) { k.Expires = time.Now().Add(-time.Second) }), "Bearer " + is.token(t, expired),
		"Bearer " + is.token(t, future), "Bearer " + is.token(t, endless),
	}
	all["revoked"] = []string{"Bearer " + text}
	all["shop"] = []string{key("admin", theirs, nil), "Bearer " + is.token(t, is.claims(theirs, "admin"))}
	all["audience"] = []string{"Bearer " + is.token(t, elsewhere), "Bearer " + is.token(t, stranger)}
	modulus := is.rsa.N.Bytes()
	all["alg"] = []string{
		"Bearer " + sign(t, jwt.SigningMethodNone, "e", jwt.UnsafeAllowNoneSignatureType, is.claims(ours, "admin")),
		"Bearer " + sign(t, jwt.SigningMethodHS256, "r", modulus, is.claims(ours, "admin")),
		"Bearer " + sign(t, jwt.SigningMethodRS256, "e", is.rsa, is.claims(ours, "admin")),
		"Bearer " + sign(t, jwt.SigningMethodRS384, "r", is.rsa, is.claims(ours, "admin")),
	}
	return all
}

// serve runs a server that takes keys and the issuer's tokens.
func serve(t *testing.T, is *issuer, change func(*app.Config)) (*app.Server, *store.Keys) {
	t.Helper()
	dir := t.TempDir()
	keys, err := store.OpenKeys(context.Background(), store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { must(t, keys.Close()) })
	c := app.Config{
		Data: dir, GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", LogFormat: "text", Follow: time.Second, Shoppers: 100, Queue: 100,
		EventAge: time.Hour, ClockAhead: time.Minute, MaxMessage: 1 << 20, Grace: 10 * time.Second, RequireAuth: true, StoreWait: 5 * time.Second,
	}
	if is != nil {
		c.OIDCIssuer, c.OIDCAudience = is.url, audience
	}
	if change != nil {
		change(&c)
	}
	must(t, c.Validate())
	s, err := app.Build(context.Background(), c, slog.New(slog.DiscardHandler), "test")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
		http.DefaultClient.CloseIdleConnections()
	})
	return s, keys
}

// Every method answers every credential as the table says, by gRPC and by REST.
func TestMatrix(t *testing.T) {
	is := newIssuer(t)
	s, keys := serve(t, is, nil)
	conn, err := grpc.NewClient(s.GRPC(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer conn.Close()
	table, all, asked := expected(t), methods(), 0
	for name := range table {
		if all[name] == nil {
			t.Errorf("%s stands in the table and is no method", name)
		}
	}
	creds := ways(t, keys, is)
	for name, m := range all {
		want, ok := table[name]
		if !ok {
			t.Errorf("%s does not stand in testdata/matrix.txt: add what it answers", name)
			continue
		}
		for i, column := range slices.Concat(columns, bad) {
			for n, header := range creds[column] {
				if got := overGRPC(t, conn, m, header); got != want[i] {
					t.Errorf("%s, %s (%d) by gRPC: got %s, want %s", name, column, n, got, want[i])
				}
				if got := overREST(t, "http://"+s.HTTP(), m, header); got != want[i] {
					t.Errorf("%s, %s (%d) by REST: got %s, want %s", name, column, n, got, want[i])
				}
				asked += 2
			}
		}
	}
	t.Logf("%d methods, %d calls", len(all), asked)
}

// request names our shop and nothing else.
func request(m protoreflect.MethodDescriptor, shop string) *dynamicpb.Message {
	r := dynamicpb.NewMessage(m.Input())
	if f := m.Input().Fields().ByName("shop"); f != nil {
		r.Set(f, protoreflect.ValueOfString(shop))
	}
	return r
}

func overGRPC(t *testing.T, conn *grpc.ClientConn, m protoreflect.MethodDescriptor, header string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if header != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", header)
	}
	path := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	out := dynamicpb.NewMessage(m.Output())
	if !m.IsStreamingClient() {
		return codeName(status.Code(conn.Invoke(ctx, path, request(m, ours), out)))
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, path)
	must(t, err)
	_ = stream.SendMsg(request(m, ours)) // what became of it is told by RecvMsg
	_ = stream.CloseSend()
	return codeName(status.Code(stream.RecvMsg(out)))
}

func codeName(c codes.Code) string {
	switch c {
	case codes.Unauthenticated:
		return "401"
	case codes.PermissionDenied:
		return "403"
	case codes.Unavailable, codes.DeadlineExceeded, codes.Unimplemented:
		return c.String()
	}
	return "ok"
}

var variable = regexp.MustCompile(`\{([^}]*)\}`)

func overREST(t *testing.T, base string, m protoreflect.MethodDescriptor, header string) string {
	t.Helper()
	rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok {
		t.Fatalf("%s has no REST path", m.FullName())
	}
	if len(rule.GetAdditionalBindings()) > 0 {
		t.Fatalf("%s has several REST paths, of which one is asked", m.FullName())
	}
	verb, path := http.MethodGet, rule.GetGet()
	for v, p := range map[string]string{http.MethodPost: rule.GetPost(), http.MethodPut: rule.GetPut(), http.MethodDelete: rule.GetDelete()} {
		if p != "" {
			verb, path = v, p
		}
	}
	path = variable.ReplaceAllStringFunc(path, func(v string) string {
		if v == "{shop}" {
			return ours
		}
		return "x"
	})
	body := "{}"
	if m.IsStreamingClient() {
		body = `{"shop":"` + ours + `"}`
	}
	r, err := http.NewRequestWithContext(context.Background(), verb, base+path, strings.NewReader(body))
	must(t, err)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	must(t, err)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return "401"
	case http.StatusForbidden:
		return "403"
	case http.StatusServiceUnavailable, http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return resp.Status
	}
	return "ok"
}

// A request that names no shop is one to the default shop, and not to the
// caller's; a request within a request counts too.
func TestDefaultShopIsAShop(t *testing.T) {
	s, keys := serve(t, nil, nil)
	text, id, hash, err := auth.NewKey()
	must(t, err)
	must(t, keys.Put(context.Background(), store.APIKey{ID: id, Hash: hash, Roles: []string{"admin"}, Shops: []features.ShopID{ours}}))
	conn, err := grpc.NewClient(s.GRPC(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+text)
	for name, m := range methods() {
		if m.Input().Fields().ByName("shop") == nil {
			t.Errorf("%s names no shop: nothing would bind it to one", name)
		}
		if m.IsStreamingClient() {
			continue
		}
		err := conn.Invoke(ctx, "/"+string(m.Parent().FullName())+"/"+string(m.Name()), request(m, ""), dynamicpb.NewMessage(m.Output()))
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s without a shop: got %v, want PermissionDenied", name, err)
		}
	}
	batch := methods()["RecommendationService/BatchRecommend"]
	r := request(batch, ours)
	list := r.Mutable(batch.Input().Fields().ByName("requests")).List()
	inner := list.AppendMutable().Message()
	inner.Set(inner.Descriptor().Fields().ByName("shop"), protoreflect.ValueOfString(theirs))
	err = conn.Invoke(ctx, "/attune.v1.RecommendationService/BatchRecommend", r, dynamicpb.NewMessage(batch.Output()))
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("another shop within a batch: got %v, want PermissionDenied", err)
	}
}
