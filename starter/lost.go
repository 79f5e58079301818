package starter

import (
	"context"

	"volley/internal/message"
	"volley/internal/store"
)

// lines reads the lines of a segment. Where the store has lost the segment, and the
// messages lie in the order of their indexes, they are made up of the indexes, so
// that what became of the messages can still be told.
func (v *view) lines(ctx context.Context, m *message.Manifest, number int) (message.Lines, error) {
	lines, err := v.s.o.Store.Lines(ctx, v.large.Dir, number)
	if err == nil {
		return lines, nil
	}
	if !store.Lost(err) || !m.InOrder || number < 1 || number > len(m.Segments) {
		return nil, v.s.storeError("batch "+v.ref.ID, err)
	}
	first := 0
	for _, g := range m.Segments[:number-1] {
		first += g.Count
	}
	g := m.Segments[number-1]
	lines = make(message.Lines, g.Count)
	for pos := range lines {
		lines[pos] = message.Line{Spot: message.Spot{Segment: number, Pos: pos}, Index: first + pos, Due: g.First}
	}
	return lines, nil
}

// stored reads a message. A segment that the store has lost is asked for once.
func (v *view) stored(ctx context.Context, at message.Spot) (message.Message, error) {
	v.mu.Lock()
	err := v.lost[at.Segment]
	v.mu.Unlock()
	if err != nil {
		return message.Message{}, err
	}
	g, err := v.s.o.Store.Segment(ctx, v.large.Dir, at.Segment)
	if err != nil {
		err = v.s.storeError("batch "+v.ref.ID, err)
		if store.Lost(err) {
			v.mu.Lock()
			v.lost[at.Segment] = err
			v.mu.Unlock()
		}
		return message.Message{}, err
	}
	_, m, err := g.Message(at.Pos)
	if err != nil {
		return message.Message{}, v.s.storeError("batch "+v.ref.ID, err)
	}
	return m, nil
}

// anyLost is why one of the segments cannot be read that were asked for.
func (v *view) anyLost() error {
	for _, err := range v.lost {
		return err
	}
	return nil
}
