package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"volley/dev/bench/roles"
	"volley/internal/message"
	"volley/starter"
)

// inlineMessages is the largest batch that runs without the store.
const inlineMessages = 1000

// batch is what is sent through Volley.
type batch struct {
	tenant    string
	dispatch  string
	summaries bool
	// due is when all messages are due; zero is at once.
	due time.Time
	// downEvery makes every so manyth recipient one that is down; 0 is none.
	downEvery int
}

// started is a batch under way.
type started struct {
	ref     starter.Ref
	starter *starter.Starter
	began   time.Time
	took    time.Duration
	n       int
}

// start starts a batch of n messages.
func (x batch) start(ctx context.Context, b *environment, n int) (*started, error) {
	s := &started{
		starter: starter.New(b.own, starter.Options{DataConverter: b.converter, InFlight: b.o.inFlight, NoSummaries: !x.summaries, Store: b.store}),
		ref:     starter.Ref{Tenant: x.tenant, ID: "bench-" + uuid.NewString()}, n: n,
	}
	request := starter.Request{Ref: s.ref, Body: []byte(s.ref.ID)}
	in := x.incoming(b, n)
	if n > inlineMessages || x.dispatch == "group" {
		s.began = time.Now()
		_, err := s.starter.StartLarge(ctx, request, in)
		s.took = time.Since(s.began)
		return s, err
	}
	request.Batch = in.all()
	s.began = time.Now()
	_, err := s.starter.Start(ctx, request)
	s.took = time.Since(s.began)
	return s, err
}

// incoming makes the messages of a batch one by one.
type incoming struct {
	batch  batch
	header *message.Batch
	accept *message.Acceptance
	n, at  int
}

var _ starter.Incoming = (*incoming)(nil)

func (x batch) incoming(b *environment, n int) *incoming {
	in := &incoming{batch: x, header: x.header(), n: n}
	router := message.Router{Accounts: map[string]message.Policy{roles.AccountName: b.role(roles.Volley, 0).Account().Policy()}}
	in.accept = router.Acceptance(in.header, strconv.Itoa)
	return in
}

// Header, Next and End make it a starter.Incoming.
func (in *incoming) Header() *message.Batch { return in.header }

func (in *incoming) Next(m *message.Message) bool {
	if in.at == in.n {
		return false
	}
	*m = in.batch.message(in.at)
	in.accept.Accept(in.at, m)
	in.at++
	return true
}

func (in *incoming) End() ([]byte, error) { return []byte(in.batch.dispatch), nil }

// all is the batch with its messages.
func (in *incoming) all() *message.Batch {
	for m := (message.Message{}); in.Next(&m); m = (message.Message{}) {
		in.header.Messages = append(in.header.Messages, m)
	}
	return in.header
}

// header is the batch without its messages.
func (x batch) header() *message.Batch {
	h := &message.Batch{
		V: message.Version, Dialect: "volley", CreatedAt: time.Now(), Account: roles.AccountName, Dispatch: x.dispatch,
		Template: message.Template{Body: json.RawMessage(`{}`), TextPaths: [][]string{{"text"}}},
	}
	if !x.due.IsZero() {
		h.SendAfter = x.due.UnixMilli()
	}
	return h
}

// body is what every message holds.
var body = json.RawMessage(`{"text":"` + roles.Text() + `"}`)

func (x batch) message(i int) message.Message {
	m := message.Message{To: roles.Recipient(i), Body: body}
	if x.downEvery > 0 && i%x.downEvery == 0 {
		m.To += down
	}
	return m
}

// status asks where the batch stands.
func (s *started) status(ctx context.Context) error {
	_, err := s.starter.Status(ctx, s.ref)
	return err
}

// wait waits until all messages have been sent.
func (s *started) wait(ctx context.Context) error {
	st, err := s.starter.Wait(ctx, s.ref)
	if err == nil && st.Counts[message.Sent] != s.n {
		err = fmt.Errorf("not all were sent: %v", *st.Counts)
	}
	return err
}

// send sends a batch to its end.
func (x batch) send(ctx context.Context, b *environment, n int) (delivery, error) {
	s, err := x.start(ctx, b, n)
	if err != nil {
		return delivery{}, err
	}
	d := delivery{workflow: starter.WorkflowID(s.ref), start: s.took}
	d.status, err = asked(ctx, s.status, s.wait)
	d.total = time.Since(s.began)
	return d, err
}
