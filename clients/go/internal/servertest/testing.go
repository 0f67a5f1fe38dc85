package servertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// SteadyAddress is for a server that comes back to it: below the ports that systems give to whoever asks for any, so that
// none of those takes its place while it is away.
func SteadyAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))
		if probe, err := net.Listen("tcp", address); err == nil {
			_ = probe.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// New starts a server on a new file for one test. Where there is none the test is skipped, and fails with CI=true.
func New(t testing.TB, options Options) *Server {
	t.Helper()
	if options.File == "" {
		options.File = filepath.Join(t.TempDir(), "everstep.db")
	}
	server, err := Start(options)
	if errors.Is(err, ErrNoServer) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}
