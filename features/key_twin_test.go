package features_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
)

// TestPseudonymsAreHMAC compares keys to the standard library's HMAC, with
// secrets and ids shorter and longer than a block and than what is kept ready.
func TestPseudonymsAreHMAC(t *testing.T) {
	for _, secret := range [][]byte{bytes.Repeat([]byte{7}, 16), bytes.Repeat([]byte{0xA5}, 32), []byte(strings.Repeat("s", 64)), []byte(strings.Repeat("l", 65))} {
		p, err := features.NewPseudonyms(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 20, 256, 438, 443, 2000} {
			id := strings.Repeat("é", n)[:n]
			for kind, got := range map[string]features.UserKey{"user": p.User(id), "session": p.Session(id)} {
				h := hmac.New(sha256.New, secret)
				h.Write([]byte(kind + "\x00" + id))
				if want := features.UserKey(h.Sum(nil)[:16]); got != want {
					t.Errorf("secret of %d, id of %d bytes: got %s, want %s", len(secret), n, got, want)
				}
			}
		}
	}
}

func BenchmarkPseudonym(b *testing.B) {
	p, err := features.NewPseudonyms(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.User("shopper-000123")
	}
}
