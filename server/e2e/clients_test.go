package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// Clients from outside, which share no code with the server, are answered:
// grpcurl by reflection, and a Python client generated from the protos.
func TestClientsFromOutside(t *testing.T) {
	if os.Getenv("ATTUNE_CLIENTS") == "" {
		t.Skip("ATTUNE_CLIENTS is not set: it needs python3, and the registries of Go and Python")
	}
	c := ready(t)
	for _, script := range []string{"clients/grpcurl.sh", "clients/python.sh"} {
		out, err := exec.Command(script, c.GRPC(), somebody(4), thing(3)).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		t.Logf("%s", out)
	}
}
