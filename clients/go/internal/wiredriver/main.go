// The wire driver of the Go SDK: one worker and one client, told by commands on stdin what to do, and telling facts on
// stdout. Its protocol is test/wire/README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
)

// commandBytesMax is the longest line on stdin: a command may carry a payload at its limit.
const commandBytesMax = 16 << 20

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	facts := &facts{chatty: os.Getenv("WIRE_FACTS") != "off"}
	holds := newHolds()
	worker, err := everstep.NewWorker(everstep.WorkerOptions{
		Workflows: []everstep.AnyWorkflow{program(holds, facts)},
		Capacity:  number("WIRE_CAPACITY", 10),
		Paused:    number("WIRE_CAPACITY", 10) == 0,
		Queues:    strings.Split(text("WIRE_QUEUES", "default"), ","),
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := everstep.NewClient(everstep.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	driver := &driver{worker: worker, client: client, holds: holds, facts: facts, drained: make(chan struct{})}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	worker.Start()
	facts.say(map[string]any{"fact": "ready", "language": "go", "pid": os.Getpid()})
	commandsOver := make(chan struct{})
	go func() {
		driver.read()
		close(commandsOver)
	}()
	for {
		select {
		case <-told:
			driver.drain()
		case <-commandsOver:
			if !driver.draining() {
				_ = worker.Abort()
				return
			}
			commandsOver = nil
		case <-driver.drained:
			facts.say(map[string]any{"fact": "drained"})
			return
		}
	}
}

// facts are written one JSON object a line.
type facts struct {
	mutex  sync.Mutex
	chatty bool
}

func (f *facts) say(fact map[string]any) {
	line, err := json.Marshal(fact)
	if err != nil {
		log.Fatal(err)
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	_, _ = os.Stdout.Write(append(line, '\n'))
}

// chat says what long runs leave out.
func (f *facts) chat(fact map[string]any) {
	if f.chatty {
		f.say(fact)
	}
}

type driver struct {
	worker  *everstep.Worker
	client  *everstep.Client
	holds   *holds
	facts   *facts
	once    sync.Once
	begun   sync.Mutex
	began   bool
	drained chan struct{}
}

// read works commands off until stdin ends. What only asks the worker is done in order, calls of the client run beside.
func (d *driver) read() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, commandBytesMax)
	for lines.Scan() {
		var command command
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			log.Fatal(err)
		}
		if value, known := d.atOnce(command); known {
			d.answer(command, value, nil)
			continue
		}
		go func() {
			value, err := d.call(context.Background(), command)
			d.answer(command, value, err)
		}()
	}
}

func (d *driver) answer(to command, value any, err error) {
	fact := map[string]any{"fact": "answer", "id": to.ID, "value": value}
	if err != nil {
		delete(fact, "value")
		fact["error"] = errorOf(err)
	}
	d.facts.say(fact)
}

func (d *driver) drain() {
	d.begun.Lock()
	d.began = true
	d.begun.Unlock()
	d.once.Do(func() {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), milliseconds(int64(number("WIRE_DRAIN_MS", 10_000))))
			defer cancel()
			if err := d.worker.Close(ctx); err != nil {
				log.Print(err)
			}
			close(d.drained)
		}()
	})
}

func (d *driver) draining() bool {
	d.begun.Lock()
	defer d.begun.Unlock()
	return d.began
}

func text(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func number(name string, otherwise int) int {
	value, err := strconv.Atoi(text(name, strconv.Itoa(otherwise)))
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
