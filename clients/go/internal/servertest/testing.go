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

// SteadyAddress is for a server that comes back to it: a loopback address besides 127.0.0.1 where the system has them, as
// Linux does, and below the ports that most systems give to whoever asks for any, so that nobody takes its place while it
// is away.
func SteadyAddress(t testing.TB) string {
	t.Helper()
	hosts := []string{fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)), "127.0.0.1"}
	for _, host := range hosts {
		for range 100 {
			address := fmt.Sprintf("%s:%d", host, 20_000+rand.IntN(10_000))
			if probe, err := net.Listen("tcp", address); err == nil {
				_ = probe.Close()
				return address
			}
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
