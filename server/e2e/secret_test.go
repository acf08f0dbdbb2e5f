package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/server/app"
	"github.com/attune-rec/attune/server/telemetry"
)

// sink keeps what is written into it.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sink) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b.Bytes())
}

// tracesInto keeps every trace as it comes.
type tracesInto struct {
	collector.UnimplementedTraceServiceServer
	to *sink
}

func (s tracesInto) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	b, err := proto.Marshal(r)
	if err == nil {
		_, err = s.to.Write(b)
	}
	return &collector.ExportTraceServiceResponse{}, err
}

// forms are a secret as it could stand in an output.
func forms(secret []byte) [][]byte {
	return [][]byte{
		secret, []byte(hex.EncodeToString(secret)), []byte(base64.StdEncoding.EncodeToString(secret)),
		[]byte(base64.RawURLEncoding.EncodeToString(secret)), []byte(url.QueryEscape(string(secret))), []byte(url.PathEscape(string(secret))),
	}
}

// leaks lists what of the planted is found in an output.
func leaks(where string, output []byte, planted map[string][]byte) (found []string) {
	for name, secret := range planted {
		for _, form := range forms(secret) {
			if i := bytes.Index(output, form); i >= 0 {
				found = append(found, fmt.Sprintf("%s in %s: …%s…", name, where, output[max(0, i-60):min(len(output), i+len(form)+20)]))
				break
			}
		}
	}
	return found
}

// Secrets and personal data are planted in every input, good and bad: none
// stands in logs of any level, metrics, traces, errors, releases or what is
// exported of others.
func TestPlantedSecretsAreNowhere(t *testing.T) {
	ctx := context.Background()
	dir := stock(t)
	first := publish(t, dir, 1, items())
	promote(t, dir, first)
	key := keyFor(t, dir, "admin")
	planted := map[string][]byte{
		"key":            []byte(key),
		"unknown key":    []byte("attune_0011223344556677_c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"),
		"token":          []byte("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkLXRva2VuIn0.cGxhbnRlZC1zaWduYXR1cmU"),
		"password":       []byte("planted-Passw0rd!correct-horse"),
		"e-mail":         []byte("planted.person@mail.example"),
		"session":        []byte("planted-session-3f9d2c"),
		"review":         []byte("planted review: my phone is 0171 5550199"),
		"attribute":      []byte("planted-attribute-71ac"),
		"occupation":     []byte("planted-occupation-beekeeper"),
		"page secret":    []byte("planted-page-secret-0123456789"),
		"personal query": []byte("planted query of a private illness"),
	}
	master, err := os.ReadFile(filepath.Join(dir, "master.key"))
	must(t, err)
	planted["master key"] = bytes.TrimSpace(master)
	if raw, err := base64.StdEncoding.DecodeString(string(planted["master key"])); err == nil && len(raw) >= 16 {
		planted["master key, raw"] = raw
	}
	text := func(name string) string { return string(planted[name]) }

	logs, traces := &sink{}, &sink{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g := grpc.NewServer()
	collector.RegisterTraceServiceServer(g, tracesInto{to: traces})
	collected := make(chan error, 1)
	go func() { collected <- g.Serve(l) }()
	cfg := config(dir)
	cfg.OTLP, cfg.Traced, cfg.PageSecret = "http://"+l.Addr().String(), 1, text("page secret")
	c := startLogged(t, cfg, telemetry.NewLogger(logs, true, slog.LevelDebug))

	errs := &sink{} // what callers are told who did something wrong
	call := func(method, path, authorization, body string) []byte {
		r, err := http.NewRequestWithContext(ctx, method, "http://"+c.HTTP()+path, strings.NewReader(body))
		must(t, err)
		r.Header.Set("Authorization", authorization)
		r.Header.Set("Cookie", "session="+text("session"))
		r.Header.Set("X-Request-Id", text("e-mail")) // not plain: another is given
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		for name, values := range resp.Header {
			_, _ = fmt.Fprintln(errs, name, values)
		}
		if resp.StatusCode >= 300 {
			_, _ = errs.Write(b)
		}
		return b
	}
	good := "Bearer " + key
	who := url.PathEscape(text("e-mail"))
	event := fmt.Sprintf(`{"type":"EVENT_TYPE_REVIEW","user":%q,"session":%q,"item":"thing-04","text":%q,"value":5,"attributes":{"note":%q}}`,
		text("e-mail"), text("session"), text("review"), text("attribute"))
	user := fmt.Sprintf(`{"occupation":%q,"friends":[%q],"attributes":{"password":%q},"consent":{"personalisation":true,"analytics":true}}`,
		text("occupation"), text("e-mail"), text("password"))
	ask := fmt.Sprintf(`{"user":%q,"session":%q,"surface":"home","query":%q}`, text("e-mail"), text("session"), text("personal query"))
	for _, authorization := range []string{
		good, "Bearer " + text("unknown key"), "Bearer " + text("token"), "Bearer " + key + "x",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+text("password"))), text("password"), "",
	} {
		call(http.MethodPost, "/v1/shops/default/events", authorization, event)
		call(http.MethodPut, "/v1/shops/default/users/"+who, authorization, user)
		call(http.MethodPost, "/v1/shops/default:recommend", authorization, ask)
		call(http.MethodGet, "/v1/shops/default/users/"+who, authorization, "")
	}
	for _, bad := range []struct{ method, path, body string }{ // wrong in every place that can be
		{http.MethodPost, "/v1/shops/default/events", strings.Replace(event, "EVENT_TYPE_REVIEW", "EVENT_TYPE_UNSPECIFIED", 1)},
		{http.MethodPost, "/v1/shops/default/events", event[:len(event)-20]},
		{http.MethodPost, "/v1/shops/default/events:batch", `{"events":[` + event + `,{"user":"` + text("e-mail") + `"}]}`},
		{http.MethodPut, "/v1/shops/default/users/" + who, strings.Replace(user, `"occupation"`, `"languages":["de,en"],"occupation"`, 1)},
		{http.MethodPut, "/v1/shops/default/users/" + who, `{"market":"` + strings.Repeat(text("attribute"), 20) + `"}`},
		{http.MethodPost, "/v1/shops/default:recommend", strings.Replace(ask, `"home"`, `"home","limit":100000`, 1)},
		{http.MethodPost, "/v1/shops/default:recommend", strings.Replace(ask, `"home"`, `"home","page_token":"`+text("token")+`"`, 1)},
		{http.MethodPost, "/v1/shops/nowhere:recommend", ask},
		{http.MethodGet, "/v1/shops/default/users?page_token=" + text("token"), ""},
		{http.MethodGet, "/v1/shops/default/users/nobody-" + who, ""},
	} {
		call(bad.method, bad.path, good, bad.body)
	}
	for _, md := range [][]string{{"authorization", "Bearer " + text("unknown key")}, {"authorization", good, "x-request-id", text("e-mail"), "cookie", text("session")}} {
		with := metadata.AppendToOutgoingContext(ctx, md...)
		_, err := c.Recommend(with, &attunev1.RecommendRequest{User: text("e-mail"), Session: text("session"), Query: text("personal query"), Surface: "nowhere"})
		_, _ = fmt.Fprintln(errs, err)
		_, err = c.users.GetUser(with, &attunev1.GetUserRequest{Id: text("e-mail") + "?"})
		_, _ = fmt.Fprintln(errs, err)
	}
	var control map[string]any // what was planted is really there: the searches below could find it
	must(t, json.Unmarshal(call(http.MethodGet, "/v1/shops/default/users/"+who+":export", good, ""), &control))
	own, err := json.Marshal(control)
	must(t, err)
	for _, name := range []string{"e-mail", "review", "attribute", "occupation", "password"} {
		if !bytes.Contains(own, planted[name]) {
			t.Errorf("the person's own export lacks the planted %s: the test shows nothing of it", name)
		}
	}

	outputs := map[string][]byte{
		"export of another": call(http.MethodGet, "/v1/shops/default/users/"+somebody(4)+":export", good, ""),
		"OpenAPI":           call(http.MethodGet, "/openapi.json", good, ""),
		"release list":      call(http.MethodGet, "/v1/shops/default/releases", good, ""),
		"audit log":         auditOf(t, dir),
	}
	for _, page := range []string{"/metrics", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/healthz"} {
		resp, err := http.Get("http://" + c.Admin() + page)
		must(t, err)
		outputs[page], err = io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
	}
	c.stop()
	g.Stop()
	must(t, <-collected)
	outputs["logs"], outputs["traces"], outputs["errors"] = logs.bytes(), traces.bytes(), errs.bytes()
	second := publish(t, dir, 2, items()) // trained on what was planted
	outputs["release"] = unpacked(t, dir, second)

	searched := 0
	for where, b := range outputs {
		if len(b) == 0 {
			t.Errorf("%s: nothing to search", where)
		}
		searched += len(b)
		for _, leak := range leaks(where, b, planted) {
			t.Errorf("found %s", leak)
		}
	}
	figure(t, "planted secrets: %d (keys, token, password, e-mail, personal text, master key) in every input, %d outputs, %d KiB searched in six spellings: found 0 times", len(planted), len(outputs), searched>>10)
}

// auditOf is the audit log as the command prints it.
func auditOf(t *testing.T, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, (&app.AuditList{Shop: string(shop)}).Run(context.Background(), &app.Config{Data: dir}, &out))
	return out.Bytes()
}

// unpacked is every file of a release as it is, and its items unpacked.
func unpacked(t *testing.T, dir, version string) []byte {
	t.Helper()
	var all bytes.Buffer
	root := filepath.Join(dir, "releases", string(shop), "releases", version)
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	}))
	items, err := release.ReadItems(readAll(t, filepath.Join(root, "items.parquet")))
	must(t, err)
	must(t, json.NewEncoder(&all).Encode(items))
	return all.Bytes()
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}
