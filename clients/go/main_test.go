package everstep_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/everstep/everstep/clients/go/internal/servertest"
)

// TestMain starts the server that the examples talk to, where users have theirs: at EVERSTEP_ADDRESS. Without a server
// the examples are skipped, and fail with CI=true.
func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withServer(m))
}

func withServer(m *testing.M) int {
	folder, err := os.MkdirTemp("", "everstep-go-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	server, err := servertest.Start(servertest.Options{File: filepath.Join(folder, "everstep.db"), LeaseTTL: "3s"})
	switch {
	case errors.Is(err, servertest.ErrNoServer) && os.Getenv("CI") != "true":
		fmt.Fprintln(os.Stderr, "SKIPPED: the examples:", err)
		if err := flag.Set("test.skip", "Example"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	default:
		defer server.Stop()
		os.Setenv("EVERSTEP_ADDRESS", server.URL)
	}
	return m.Run()
}
