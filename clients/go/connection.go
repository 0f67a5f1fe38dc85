package everstep

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const addressDefault = "http://127.0.0.1:7420"

// endpoint is where the server is and how it is spoken to.
type endpoint struct {
	target      string
	credentials credentials.TransportCredentials
	apiKey      string
}

// newEndpoint checks the options; empty ones mean the environment, else a server on this machine.
func newEndpoint(address, apiKey, tlsCAFile string) (endpoint, error) {
	address = nonEmpty(address, nonEmpty(os.Getenv("EVERSTEP_ADDRESS"), addressDefault))
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Hostname() == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return endpoint{}, &InvalidArgumentError{message: fmt.Sprintf("address %q is not an http or https URL", address)}
	}
	found := endpoint{target: parsed.Host, apiKey: nonEmpty(apiKey, os.Getenv("EVERSTEP_API_KEY"))}
	if parsed.Scheme == "http" {
		if parsed.Port() == "" {
			found.target += ":80"
		}
		found.credentials = insecure.NewCredentials()
		return found, nil
	}
	if parsed.Port() == "" {
		found.target += ":443"
	}
	config := &tls.Config{}
	if tlsCAFile != "" {
		if config.RootCAs, err = readCertificates(tlsCAFile); err != nil {
			return endpoint{}, err
		}
	}
	found.credentials = credentials.NewTLS(config)
	return found, nil
}

func readCertificates(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, &InvalidArgumentError{message: fmt.Sprintf("%s holds no PEM certificate", file)}
	}
	return pool, nil
}

// dial makes a connection that is opened by its first call. Compression stays off: for small local messages it costs
// more than it saves.
func (e endpoint) dial() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+e.target,
		grpc.WithTransportCredentials(e.credentials),
		grpc.WithUserAgent("everstep-"+sdkName),
		grpc.WithInitialWindowSize(streamWindowBytes),
		grpc.WithInitialConnWindowSize(streamWindowBytes),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		// How often the channel tries; the SDK's own back-off decides how often it is asked.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 5 * time.Second,
		}),
	)
}
