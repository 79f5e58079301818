package activities

import (
	"context"
	"errors"
	"fmt"

	"volley/internal/message"
	"volley/internal/store"
)

// Open reads the manifest of a large batch. A store without it, or with one that is
// damaged, is a result, a store that does not answer an error, after which it may
// be asked again.
func (a *Activities) Open(ctx context.Context, in OpenInput) (OpenResult, error) {
	res := OpenResult{V: message.Version}
	if a.store == nil {
		return res, nil
	}
	manifest, err := a.store.Manifest(ctx, in.Dir)
	if errors.Is(err, store.ErrDamaged) {
		res.Fault = err.Error()
	}
	if err != nil {
		return res, unlessLost(err)
	}
	res.Found, res.Segments = true, manifest.Segments
	return res, nil
}

// Load reads what a workflow needs to know of its messages. Errors are as with
// Open, but that a worker without a store is one: another may have it.
func (a *Activities) Load(ctx context.Context, in LoadInput) (LoadResult, error) {
	if a.store == nil {
		return LoadResult{V: message.Version}, errNoStore
	}
	res, err := a.load(ctx, in)
	if err != nil {
		return LoadResult{V: message.Version}, unlessLost(err)
	}
	res.V, res.Found = message.Version, true
	return res, nil
}

func (a *Activities) load(ctx context.Context, in LoadInput) (LoadResult, error) {
	manifest, err := a.store.Manifest(ctx, in.Dir)
	if err != nil {
		return LoadResult{}, err
	}
	res := LoadResult{Batch: manifest.Batch}
	res.Batch.Template, res.Batch.Metadata, res.Batch.Messages = message.Template{}, nil, nil
	for i, s := range in.Sources {
		if s.Left != in.Sources[0].Left {
			return LoadResult{}, fmt.Errorf("source %d: whole segments and what others left were asked for at once", i)
		}
		if !s.Left {
			lines, err := a.store.Lines(ctx, in.Dir, s.Segment)
			if err != nil {
				return LoadResult{}, err
			}
			res.Lines = append(res.Lines, lines...)
			continue
		}
		if res.Records == nil {
			res.Records = &message.Ledger{V: message.Version, Spots: []message.Spot{}}
		}
		if err := a.loadLeft(ctx, in.Dir, s.Segment, &res); err != nil {
			return LoadResult{}, err
		}
	}
	return res, nil
}

// loadLeft adds the messages that a workflow left, according to its ledger.
func (a *Activities) loadLeft(ctx context.Context, dir string, number int, res *LoadResult) error {
	ledger, err := a.store.Ledger(ctx, dir, number)
	if err != nil {
		return err
	}
	segments := map[int]message.Lines{}
	for i := range ledger.Records {
		if ledger.Records[i].State.Final() {
			continue
		}
		spot := spotOf(ledger, number, i)
		lines, ok := segments[spot.Segment]
		if !ok {
			if lines, err = a.store.Lines(ctx, dir, spot.Segment); err != nil {
				return err
			}
			segments[spot.Segment] = lines
		}
		if spot.Pos < 0 || spot.Pos >= len(lines) {
			return fmt.Errorf("ledger %d names message %d of segment %d, which has %d", number, spot.Pos, spot.Segment, len(lines))
		}
		res.Lines = append(res.Lines, lines[spot.Pos])
		res.Records.Spots = append(res.Records.Spots, spot)
		res.Records.Records = append(res.Records.Records, ledger.Records[i])
	}
	return nil
}

// spotOf is where the message of a ledger's record lies.
func spotOf(l *message.Ledger, number, i int) message.Spot {
	if l.Spots == nil {
		return message.Spot{Segment: number, Pos: i}
	}
	return l.Spots[i]
}

// Keep writes the ledger of a workflow, over the one that was there.
func (a *Activities) Keep(ctx context.Context, in KeepInput) error {
	if a.store == nil {
		return errNoStore
	}
	return a.store.KeepLedger(ctx, in.Dir, in.Number, &in.Ledger)
}

// Close writes the end of a large batch, over the one that was there. A result
// that names no folder has nothing to be kept.
func (a *Activities) Close(ctx context.Context, in CloseInput) error {
	switch {
	case in.Result.Large == nil:
		return nil
	case a.store == nil:
		return errNoStore
	}
	return a.store.KeepResult(ctx, in.Result.Large.Dir, &in.Result)
}

// unlessLost is the error of reading, and nil for what is not there, or not as it
// was written.
func unlessLost(err error) error {
	if isLost(err) {
		return nil
	}
	return err
}

func isLost(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged)
}
