package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"volley/dev/bench/roles"
)

// redisProgram is the server that asynq keeps its tasks in. Without it asynq is not measured.
const redisProgram = "redis-server"

// startRedis runs a server of its own that keeps everything in memory, as Temporal's does
// beside it.
func (b *environment) startRedis(ctx context.Context, dir string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.redis = l.Addr().String()
	_, port, _ := net.SplitHostPort(b.redis) // it is an address of this program
	if err := l.Close(); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, redisProgram, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	b.ends = append(b.ends, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 200 {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.redis); err == nil {
			return conn.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("redis: it does not answer")
}

// hasRedis reports whether there is such a server on this machine.
func hasRedis() bool {
	_, err := exec.LookPath(redisProgram)
	return err == nil
}

// sendAsynq puts a task for each message into the queue, as many at once as there are
// requests, and waits until none is left.
func sendAsynq(ctx context.Context, b *environment, n int) (delivery, error) {
	opt := asynq.RedisClientOpt{Addr: b.redis}
	c, inspector := asynq.NewClient(opt), asynq.NewInspector(opt)
	defer c.Close()
	defer inspector.Close()
	began := time.Now()
	if err := enqueue(ctx, c, n, b.o.inFlight); err != nil {
		return delivery{}, err
	}
	d := delivery{start: time.Since(began)}
	for {
		q, err := inspector.GetQueueInfo("default")
		switch {
		case err != nil:
			return d, err
		case q.Retry+q.Archived > 0:
			return d, errors.New("not all were sent")
		case q.Size == 0:
			d.total = time.Since(began)
			return d, nil
		}
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func enqueue(ctx context.Context, c *asynq.Client, n, atOnce int) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, atOnce)
	for k := range atOnce {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n) && errs[k] == nil; i = next.Add(1) {
				var payload []byte
				if payload, errs[k] = json.Marshal(roles.Message{To: roles.Recipient(int(i)), Text: roles.Text()}); errs[k] == nil {
					_, errs[k] = c.EnqueueContext(ctx, asynq.NewTask(roles.PostTask, payload), asynq.MaxRetry(0))
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
