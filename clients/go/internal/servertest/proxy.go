package servertest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a worker and a server, and cuts connections when a test says so.
type Proxy struct {
	URL      string
	listener net.Listener
	target   string
	mutex    sync.Mutex
	open     map[net.Conn]bool
}

// NewProxy listens on a free port until the test is over.
func NewProxy(t testing.TB, server *Server) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &Proxy{
		URL: "http://" + listener.Addr().String(), listener: listener, target: server.Listen(), open: map[net.Conn]bool{},
	}
	go proxy.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		proxy.Cut()
	})
	return proxy
}

// Cut ends every connection; new ones are let through.
func (p *Proxy) Cut() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for connection := range p.open {
		_ = connection.Close()
	}
	clear(p.open)
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		p.mutex.Lock()
		p.open[near], p.open[far] = true, true
		p.mutex.Unlock()
		go p.carry(near, far)
		go p.carry(far, near)
	}
}

func (p *Proxy) carry(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
	p.mutex.Lock()
	delete(p.open, from)
	p.mutex.Unlock()
}
