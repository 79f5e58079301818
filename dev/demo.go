package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/dev/sandbox"
	"volley/internal/message"
	"volley/starter"
)

// demoTimeout is how long the examples may take; they take about 15 s.
const demoTimeout = 90 * time.Second

// demoBatch is a batch of the demo, from its file to its end.
type demoBatch struct {
	example example
	ref     starter.Ref
	took    time.Duration
	status  message.Status
	rows    []message.Row
}

// demo sends the examples, waits until every message has ended, shows what became
// of each and fails when an outcome is not the expected one.
func demo(ctx context.Context, s *stack, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	fmt.Fprintf(stderr, "\nSending the examples of %s, each as its own clients would:\n", s.o.examples)
	batches := make([]*demoBatch, 0, len(examples()))
	for _, e := range examples() {
		c := e.call(s.gateway)
		fmt.Fprintf(stderr, "  %s\n", c.curl(s.o.examples, true))
		b, err := submit(ctx, s, e, c)
		if err != nil {
			return fmt.Errorf("demo: %s: %w", e.file, err)
		}
		batches = append(batches, b)
	}
	if err := follow(ctx, s, batches, stderr); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	wrong := report(stdout, batches)
	wrong = append(wrong, compare(s.sandbox.Counts(), batches)...)
	if ui := s.temporal.UIAddress(); ui != "" {
		fmt.Fprintf(stdout, "The Web UI was at %s; `make dev` keeps it up: send the examples there and look around.\n", ui)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("demo: not as expected:\n  %s", strings.Join(wrong, "\n  "))
	}
	fmt.Fprintf(stdout, "All of them ended as expected; the sandbox has %d messages, none of them twice.\n", s.sandbox.Counts().Total)
	return nil
}

// compare holds what the batches say against what the sandbox has: every message
// that was sent, once, and no other.
func compare(c sandbox.Counts, batches []*demoBatch) (wrong []string) {
	sent := 0
	for _, b := range batches {
		if b.status.Counts != nil {
			sent += b.status.Counts[message.Sent]
		}
	}
	if c.Doubles > 0 {
		wrong = append(wrong, fmt.Sprintf("%d messages reached the sandbox more than once", c.Doubles))
	}
	if int64(sent) != c.Total {
		wrong = append(wrong, fmt.Sprintf("%d messages were sent, and the sandbox has %d", sent, c.Total))
	}
	return wrong
}

// submit posts a batch. A call that waits for its messages, as Bluesky's, may answer
// that one of them failed; the batch was started nevertheless.
func submit(ctx context.Context, s *stack, e example, c call) (*demoBatch, error) {
	body, err := os.Open(filepath.Join(s.o.examples, e.file))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, body)
	if err != nil {
		return nil, err
	}
	for _, h := range append(c.headers, c.once()) {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	id := res.Header.Get("Volley-Batch-Id")
	if id == "" {
		return nil, fmt.Errorf("refused: %s: %s", res.Status, bytes.TrimSpace(answer))
	}
	return &demoBatch{example: e, ref: starter.Ref{ID: id}}, nil
}

// follow waits for all batches, says once a second how far they are, and reads
// what became of every message.
func follow(ctx context.Context, s *stack, batches []*demoBatch, stderr io.Writer) error {
	g, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	for _, b := range batches {
		g.Go(func() error {
			if err := b.finish(ctx, s.starter, begin); err != nil {
				return fmt.Errorf("%s: %w", b.example.file, err)
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case err := <-s.failed:
			return err
		case <-tick.C:
			progress(ctx, s.starter, batches, begin, stderr)
		}
	}
}

func (b *demoBatch) finish(ctx context.Context, st *starter.Starter, begin time.Time) error {
	var err error
	if b.status, err = st.Wait(ctx, b.ref); err != nil {
		return err
	}
	b.took = time.Since(begin)
	for row, err := range st.Results(ctx, b.ref, starter.ResultQuery{}) {
		if err != nil {
			return err
		}
		b.rows = append(b.rows, row)
	}
	return nil
}

// progress prints one line about all batches together. A batch that does not
// answer now is left out; Wait reports what is wrong with it.
func progress(ctx context.Context, st *starter.Starter, batches []*demoBatch, begin time.Time, stderr io.Writer) {
	total, open := 0, 0
	var sum message.Counts
	for _, b := range batches {
		status, err := st.Status(ctx, b.ref)
		if err != nil || status.Counts == nil {
			continue
		}
		total += status.Total
		open += status.Counts.Open()
		for i, n := range status.Counts {
			sum[i] += n
		}
	}
	fmt.Fprintf(stderr, "  %2.0fs  %d of %d messages have ended: %d sent, %d rejected, %d failed, %d expired; %d scheduled, %d retrying\n",
		time.Since(begin).Seconds(), total-open, total, sum[message.Sent], sum[message.Rejected], sum[message.Failed],
		sum[message.Expired], sum[message.Scheduled], sum[message.Retrying])
}
