// Package servertest starts real Everstep servers, processes of this repository on real files, for tests and examples.
package servertest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// ErrNoServer means that this machine or checkout has no Node or no server to run. Tests skip then, unless CI=true.
var ErrNoServer = errors.New("servertest: no server to test against")

// Options of a server process.
type Options struct {
	// File is the SQLite file.
	File string
	// Listen is host:port; default: a free port of this machine.
	Listen string
	// LeaseTTL is for example "3s"; default: the server's.
	LeaseTTL string
	// APIKey is wanted on every call; default: none.
	APIKey string
}

// Server is a running process.
type Server struct {
	URL     string
	process *exec.Cmd
	stderr  *strings.Builder
}

// Start starts a server and returns when it listens.
func Start(options Options) (*Server, error) {
	node, main, err := find()
	if err != nil {
		return nil, err
	}
	listen := options.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	args := []string{main, "serve", "--db", options.File, "--listen", listen, "--log-level", "error"}
	if options.LeaseTTL != "" {
		args = append(args, "--lease-ttl", options.LeaseTTL)
	}
	if options.APIKey != "" {
		args = append(args, "--api-key", options.APIKey)
	}
	server := &Server{process: exec.Command(node, args...), stderr: &strings.Builder{}}
	server.process.Stderr = server.stderr
	output, err := server.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.process.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			server.URL = url
			go func() { // keeps the pipe empty
				for lines.Scan() {
				}
			}()
			return server, nil
		}
	}
	_ = server.process.Wait()
	return nil, fmt.Errorf("servertest: the server ended before it listened: %s", server.stderr)
}

// Listen is what gives a successor the same address.
func (s *Server) Listen() string { return strings.TrimPrefix(s.URL, "http://") }

// Kill ends the process at once, as kill -9 does.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Stop lets the process end as it should.
func (s *Server) Stop() { s.signal(syscall.SIGTERM) }

func (s *Server) signal(signal syscall.Signal) {
	if s.process.ProcessState == nil {
		_ = s.process.Process.Signal(signal)
		_ = s.process.Wait()
	}
}

// find returns the Node that the repository runs on and the server's main file.
func find() (node, main string, err error) {
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..", "..", "..")
	main = os.Getenv("EVERSTEP_SERVER_PROGRAM") // `npm test` names a bundle, which starts in half the time
	if main == "" {
		main = filepath.Join(root, "src", "main.ts")
	}
	if _, err := os.Stat(main); err != nil {
		return "", "", fmt.Errorf("%w: %s is not there", ErrNoServer, main)
	}
	node = filepath.Join(root, "node_modules", ".bin", "node")
	if _, err := os.Stat(node); err == nil {
		return node, main, nil
	}
	if node, err = exec.LookPath("node"); err != nil {
		return "", "", fmt.Errorf("%w: no node", ErrNoServer)
	}
	return node, main, nil
}
