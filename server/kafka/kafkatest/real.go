// Package kafkatest runs a real Kafka for tests: one node, KRaft, from the jars
// that .ci/kafka prepares.
//
// It imports no package of the project. Start reading at Start.
package kafkatest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// jarsEnv names a folder with the jars of Kafka 4.3.1; .ci/kafka prepares one.
const jarsEnv = "ATTUNE_KAFKA_JARS"

// What callers log in with at Secure.
const (
	User     = "attune"
	Password = "a-secret-of-tests"
)

// Broker is a real Kafka of its own.
type Broker struct {
	Address string // in plain text, without a login
	Secure  string // by TLS, as User; "" unless a keystore was given
	jars    string
	dir     string
	cmd     *exec.Cmd
	done    chan struct{}
}

// Start starts a broker and stops it at the end of the test. It skips when there
// is none to start, and fails when that does not start. keystore, where given, is
// a PEM file of a private key and its certificate.
func Start(t testing.TB, keystore string) *Broker {
	t.Helper()
	jars := os.Getenv(jarsEnv)
	if jars == "" {
		t.Skipf("set %s to a folder with the jars of Kafka, as `eval $(.ci/kafka)` does, to run against a real broker", jarsEnv)
	}
	b := &Broker{jars: filepath.Join(jars, "*"), dir: t.TempDir(), Address: free(t)}
	controller := free(t)
	lines := []string{
		"process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@" + controller, "controller.listener.names=CONTROLLER",
		"log.dirs=" + filepath.Join(b.dir, "log"), "num.partitions=1", "auto.create.topics.enable=false",
		"offsets.topic.replication.factor=1", "offsets.topic.num.partitions=4", "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
		"share.coordinator.state.topic.replication.factor=1", "share.coordinator.state.topic.min.isr=1",
		"group.initial.rebalance.delay.ms=0", "group.min.session.timeout.ms=1000", "log.flush.interval.messages=1000000", "controlled.shutdown.enable=false",
	}
	listeners, protocols := "PLAINTEXT://"+b.Address+",CONTROLLER://"+controller, "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
	advertised := "PLAINTEXT://" + b.Address
	if keystore != "" {
		b.Secure = free(t)
		listeners, protocols, advertised = listeners+",SASL_SSL://"+b.Secure, protocols+",SASL_SSL:SASL_SSL", advertised+",SASL_SSL://"+b.Secure
		login := fmt.Sprintf(`required username="%[1]s" password="%[2]s" user_%[1]s="%[2]s";`, User, Password)
		lines = append(lines, "ssl.keystore.type=PEM", "ssl.keystore.location="+keystore, "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
			"listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule "+login,
			"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;")
	}
	lines = append(lines, "listeners="+listeners, "listener.security.protocol.map="+protocols, "advertised.listeners="+advertised)
	if err := os.WriteFile(filepath.Join(b.dir, "server.properties"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	format := []string{"kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", filepath.Join(b.dir, "server.properties")}
	if keystore != "" {
		format = append(format, "--add-scram", fmt.Sprintf("SCRAM-SHA-512=[name=%s,password=%s]", User, Password))
	}
	if out, err := b.java(format...).CombinedOutput(); err != nil {
		t.Fatalf("format the storage of kafka: %v\n%s", err, out)
	}
	b.Start(t)
	t.Cleanup(b.stop)
	return b
}

func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (b *Broker) java(args ...string) *exec.Cmd {
	return exec.Command("java", append([]string{
		"-Xmx384m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", b.jars,
	}, args...)...)
}

// Start starts it anew, after Kill, on the data that it had.
func (b *Broker) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(b.dir, "kafka.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := b.java("kafka.Kafka", filepath.Join(b.dir, "server.properties"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start kafka: %v", err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	b.cmd, b.done = cmd, done
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err := client.Ping(ctx)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-done:
			t.Fatalf("kafka ended: %s", b.tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
	b.Kill()
	t.Fatalf("kafka does not answer after three minutes: %s", b.tail())
}

func (b *Broker) tail() string {
	text, _ := os.ReadFile(filepath.Join(b.dir, "kafka.log"))
	return string(text[max(0, len(text)-3000):])
}

// Kill ends the broker at once.
func (b *Broker) Kill() {
	_ = b.cmd.Process.Kill()
	<-b.done
}

// stop ends it politely, then not.
func (b *Broker) stop() {
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.done:
	case <-time.After(5 * time.Second):
		b.Kill()
	}
}
