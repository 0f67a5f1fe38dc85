// Tortureprogram is a program on the client of the Go SDK for the proofs in test/crash: lanes that start a run, signal it,
// wait for its result and start the next one, until SIGTERM; then each lane waits for its last result.
// Each result is told as a line "finished" on standard output, each error that the program meets as what it says.
// Arguments: address, queue, lanes.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
)

const resultTimeout = time.Minute

// tell writes whole lines: one call of the system each.
func tell(err error) {
	if err == nil {
		fmt.Println("finished")
	} else {
		fmt.Printf("%q\n", err.Error())
	}
}

func carry(client *everstep.Client, queue string) error {
	ctx, cancel := context.WithTimeout(context.Background(), resultTimeout)
	defer cancel()
	run, err := client.Start(ctx, "torture", map[string]bool{"signal": true}, everstep.StartOptions{Queue: queue})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if _, err := client.Signal(ctx, run.RunID, "go", nil); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	var output string
	if err := client.Result(ctx, run.RunID, &output); err != nil {
		return fmt.Errorf("result of %s: %w", run.RunID, err)
	}
	return nil
}

func main() {
	address, queue := os.Args[1], os.Args[2]
	lanes, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	client, err := everstep.NewClient(everstep.ClientOptions{Address: address})
	if err != nil {
		panic(err)
	}
	stopping, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var group sync.WaitGroup
	for range lanes {
		group.Add(1)
		go func() {
			defer group.Done()
			for stopping.Err() == nil {
				tell(carry(client, queue))
			}
		}()
	}
	group.Wait()
}
