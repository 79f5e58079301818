package workflows

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// fate is what a cancel did to a message; 0 is not known. They are in the order of
// a CancelResult's lists.
type fate uint8

const (
	fateCanceled fate = iota + 1
	fateSent
	fateInFlight
	fateEnded
)

// rounds is how often messages are looked for whose segments end before they have
// heard of the cancel: that of the segment, that of a retry, and one to spare.
const rounds = 4

// search cancels single messages, wherever they are, and finds out what became of
// each of them.
type search struct {
	*conductor
	indexes  []int
	reason   string
	patience time.Duration  // with the store
	struck   func()         // called once what no workflow has is canceled; nil is nobody
	fates    map[int]fate   // by index
	fresh    map[*part]bool // what is canceled there is so by this cancel
}

func (c *conductor) newSearch(indexes []int, reason string, patience time.Duration) *search {
	return &search{
		conductor: c, indexes: indexes, reason: message.Clip(reason, message.MaxDetail), patience: patience,
		fates: map[int]fate{}, fresh: map[*part]bool{},
	}
}

// run cancels the messages. It fails when the store does not say where they are;
// then those of which it does not have a fate have not been canceled.
func (s *search) run(ctx workflow.Context) error {
	todo := s.indexes
	for round := 0; round < rounds && len(todo) > 0; round++ {
		asked, err := s.strike(ctx, todo)
		if err != nil {
			return err
		}
		if s.struck != nil {
			s.struck()
		}
		todo = s.order(ctx, asked)
	}
	if len(todo) > 0 {
		return temporal.NewApplicationError("the workflows of some messages ended before they had heard of it: cancel again", ErrLargeType)
	}
	return nil
}

// errand is what one part is to be asked to cancel.
type errand struct {
	*part
	indexes []int
}

// strike finds messages and cancels those that no workflow has. It returns what
// running ones are to be asked for. Nothing begins meanwhile.
func (s *search) strike(ctx workflow.Context, todo []int) (asked []*errand, err error) {
	s.locating++
	defer func() { s.locating--; s.poke() }()
	_ = workflow.Await(ctx, func() bool { return s.opened || s.next >= s.segments })
	if !s.opened {
		return nil, nil // all of the batch has ended, and these with it
	}
	found, err := s.locate(ctx, todo)
	if err != nil {
		return nil, err
	}
	if err := s.bounds(found); err != nil {
		return nil, err
	}
	s.change()
	of := map[*part]*errand{}
	for k, i := range todo {
		p, st := s.holder(found[k])
		switch {
		case s.idle(p, st):
			s.fates[i] = fateEnded
			if !isRejected(found[k]) && p.strike(i, s.reason, s.rev) {
				s.fates[i] = fateCanceled
			}
		case p.runs():
			if of[p] == nil {
				of[p] = &errand{part: p}
				asked = append(asked, of[p])
			}
			of[p].indexes = append(of[p].indexes, i)
		case final(st):
			s.fates[i] = s.fateOf(p, i, *st)
		default: // nothing tells how, but it will not be sent
			s.fates[i] = fateEnded
		}
	}
	return asked, nil
}

// idle reports whether no workflow has a message that has not ended.
func (s *search) idle(p *part, st *message.State) bool {
	return p.waits() || p.letter == message.SegmentLeft && !final(st)
}

// bounds refuses to cancel more messages by name than the batch can say of itself.
func (s *search) bounds(found []activities.Located) error {
	n := 0
	for _, p := range s.parts {
		if s.lists(p) {
			n += len(p.canceled)
		}
	}
	for _, f := range found {
		if p, st := s.holder(f); s.idle(p, st) {
			n++
		}
	}
	if n <= maxStruck {
		return nil
	}
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(
		"%d messages would be canceled by name in segments that have not begun, and a batch remembers %d: cancel all of it, or the others later",
		n, maxStruck), ErrLargeType, nil)
}

// holder is the part that has a message, and the state in which it ended if that
// is known.
func (s *search) holder(at activities.Located) (*part, *message.State) {
	if !s.opened {
		return s.parts[0], at.State
	}
	p := s.parts[at.Segment-1]
	if p.letter == message.SegmentLeft && !final(at.State) && p.taker != nil {
		p = p.taker
	}
	return p, at.State
}

func final(s *message.State) bool { return s != nil && s.Final() }

// fateOf is what a cancel answers of a message that has ended.
func (s *search) fateOf(p *part, index int, st message.State) fate {
	switch {
	case st.Taken():
		return fateSent
	case st == message.Canceled && s.fresh[p] && !slices.Contains(p.canceled, index):
		return fateCanceled
	default:
		return fateEnded
	}
}

// order passes the cancel on to running parts, and returns the messages of those
// that ended before they had heard of it.
func (s *search) order(ctx workflow.Context, asked []*errand) (again []int) {
	parts := make([]*part, len(asked))
	orders := map[*part]Order{}
	for k, e := range asked {
		q := message.CancelRequest{Reason: s.reason, Messages: make([]string, len(e.indexes))}
		for n, i := range e.indexes {
			q.Messages[n] = strconv.Itoa(i)
		}
		parts[k], orders[e.part], s.fresh[e.part] = e.part, Order{Cancel: &q}, true
	}
	s.listen(parts, s.ask(ctx, parts, func(p *part) Order { return orders[p] }))
	for _, e := range asked {
		for _, i := range e.indexes {
			switch {
			case s.fates[i] > 0:
			case e.runs():
				s.fates[i] = fateInFlight
			default:
				again = append(again, i)
			}
		}
	}
	return again
}

// listen takes over what parts report of the messages named.
func (s *search) listen(parts []*part, reports map[int]Report) {
	for _, p := range parts {
		res := reports[p.number].Cancel
		if res == nil {
			continue
		}
		for k, ids := range [][]string{res.Canceled, res.Sent, res.InFlight, res.Ended} {
			for _, id := range ids {
				if key, i, ok := message.ParseID(id); ok && key == s.key {
					s.fates[i] = fateCanceled + fate(k)
				}
			}
		}
	}
}

// complete finds out what a cancel of all of the batch did to the messages of
// which no segment has reported, and reports whether it could.
func (s *search) complete(ctx workflow.Context) bool {
	var todo []int
	for _, i := range s.indexes {
		switch {
		case s.fates[i] > 0:
		case !s.opened && s.in.Rejected == 0:
			s.fates[i] = s.fateOf(s.parts[0], i, s.rest.State)
		default:
			todo = append(todo, i)
		}
	}
	if len(todo) == 0 {
		return true
	}
	found, err := s.locate(ctx, todo)
	if err != nil {
		workflow.GetLogger(s.root).Warn("messages of a canceled batch cannot be listed", "error", err)
		return false
	}
	for k, i := range todo {
		p, st := s.holder(found[k])
		switch {
		case isRejected(found[k]):
			s.fates[i] = fateEnded
		case final(st):
			s.fates[i] = s.fateOf(s.parent(found[k]), i, *st)
		case p.runs() && !p.void:
			s.fates[i] = fateInFlight
		default:
			s.fates[i] = s.fateOf(s.parent(found[k]), i, message.Canceled)
		}
	}
	return true
}

// parent is the segment in which a message was at first.
func (s *search) parent(at activities.Located) *part {
	if !s.opened {
		return s.parts[0]
	}
	return s.parts[at.Segment-1]
}

// result lists the messages by what became of them, in the order in which they
// were named.
func (s *search) result() message.CancelResult {
	res := message.CancelResult{
		Batch: s.batch.ID, Confirmed: true,
		Canceled: []string{}, Sent: []string{}, InFlight: []string{}, Ended: []string{},
	}
	for _, i := range s.indexes {
		id := s.key.MessageID(i)
		switch s.fates[i] {
		case fateCanceled:
			res.Canceled = append(res.Canceled, id)
		case fateSent:
			res.Sent = append(res.Sent, id)
		case fateInFlight:
			res.InFlight = append(res.InFlight, id)
		default:
			res.Ended = append(res.Ended, id)
		}
	}
	res.Counts = message.CancelCounts{
		Canceled: len(res.Canceled), Sent: len(res.Sent), InFlight: len(res.InFlight), Ended: len(res.Ended),
	}
	return res
}
