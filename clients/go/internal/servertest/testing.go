package servertest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

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
