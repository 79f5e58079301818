package roles

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hibiken/asynq"
)

// PostTask is the type of asynq's tasks: each has a Message.
const PostTask = "post"

// workAsynq runs a worker of the job queue asynq.
func (r Role) workAsynq() (activeRole, error) {
	p := newPoster(r.URL, r.InFlight)
	srv := asynq.NewServer(asynq.RedisClientOpt{Addr: r.Redis}, asynq.Config{
		Concurrency: r.InFlight, LogLevel: asynq.FatalLevel, ShutdownTimeout: time.Second,
	})
	mux := asynq.NewServeMux()
	mux.HandleFunc(PostTask, func(ctx context.Context, t *asynq.Task) error {
		var m Message
		if err := json.Unmarshal(t.Payload(), &m); err != nil {
			return err
		}
		if ok, err := p.post(ctx, m); err != nil || !ok {
			return errors.Join(errors.New("not sent"), err)
		}
		return nil
	})
	if err := srv.Start(mux); err != nil {
		return activeRole{}, err
	}
	return activeRole{
		answer: func(int) (Reply, error) { return Reply{}, nil },
		end:    func() error { srv.Shutdown(); return nil },
	}, nil
}
