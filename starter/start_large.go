package starter

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"go.uber.org/zap"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// StartLarge starts a large batch out of a stream, or answers with the one that
// has the same id and the same content. r.Batch is not used; r.Body is nil unless all of
// the request is in memory, and then makes up the content as that of Start does.
//
// The answer comes when a worker has seen the batch in the store; when there is no
// worker it comes after ten seconds (Options.Wait), and the batch waits for one.
//
// The content of any other stream is known at its end only. So a repetition of one that ended in
// ErrMayHaveStarted is written under an id of its own, and then dropped where the first
// one is there.
//
// Errors: what in.End and r.Ask said, *NoneValidError, ErrStoreNotShared, and those of Start.
// After an error other than ErrMayHaveStarted nothing of the batch is left.
func (s *Starter) StartLarge(ctx context.Context, r Request, in Incoming) (Started, error) {
	header := in.Header()
	if header == nil {
		return Started{}, server.Invalid("no batch was given")
	}
	ref, err := s.refFor(r, header.Dialect)
	if err != nil {
		return Started{}, err
	}
	return s.submit(ctx, header.Dialect, ref, func(ctx context.Context) (Started, error) {
		return s.startLarge(ctx, ref, !hasOwnID(r), r, streamSource(in, r, ref.Tenant))
	})
}

// startLarge starts a large batch. fresh means that the caller gave neither an id nor a
// key. Of r it needs what says whether the id may be in use, and what is to be done before
// the start.
func (s *Starter) startLarge(ctx context.Context, ref Ref, fresh bool, r Request, src *source) (Started, error) {
	if s.o.Store == nil {
		return Started{}, server.Invalid("a batch of this size needs a store, and none is configured")
	}
	if hasOwnID(r) {
		if out, answered, err := s.existing(ctx, ref, fresh, src); answered {
			return out, err
		}
	}
	if problems := CheckLarge(src.header); len(problems) > 0 { // before anything is written
		return Started{}, &RefusedError{Problems: problems}
	}
	if room := s.server.PayloadRoom(ctx); room != 0 && room < message.MaxLarge {
		return Started{}, &PayloadError{Ref: ref, MaxBytes: s.o.MaxBytes}
	}
	l, err := s.upload(ctx, ref, src)
	if err != nil {
		return Started{}, err
	}
	if id := s.repeats.of(l.hash); fresh && id != "" && id != ref.ID {
		if out, answered, err := s.existing(ctx, Ref{Tenant: ref.Tenant, ID: id}, fresh, src); answered {
			s.removeFolder(ctx, l.dir)
			return out, err
		}
	}
	if problems := headerProblems(&l.in); len(problems) > 0 {
		s.removeFolder(ctx, l.dir)
		return Started{}, &RefusedError{Problems: problems}
	}
	return s.launch(ctx, r, fresh, l)
}

// segmentless is a batch without what only segments need, which stays in the store.
func segmentless(b message.Batch) message.Batch {
	b.Template, b.Messages, b.Hops = message.Template{}, nil, nil
	return b
}

// CheckLarge is what keeps a batch from starting once it is a large one: what it has
// beside its messages has a bound then. Its messages are not looked at, and its id
// counts as one of the longest, so that the answer is the same before it has one.
func CheckLarge(b *message.Batch) message.Problems {
	longest := strings.Repeat("x", 100)
	in := contract.Input{V: message.Version, Batch: segmentless(*b), Large: &contract.LargeInput{Dir: longest + longest + longest}}
	in.Batch.ID, in.Batch.Tenant = longest, longest
	return headerProblems(&in)
}

// headerProblems refuses what does not fit beside the messages of a large batch.
func headerProblems(in *contract.Input) (problems message.Problems) {
	raw, _ := json.Marshal(in) // the store has to encode it as well, and says why it cannot
	if in.Size = len(raw); in.Size > message.MaxLarge {
		path := "metadata"
		if in.Batch.Dialect == dialectSinch {
			path = "batch_metadata"
		}
		problems.Add(message.WholeBatch, path, message.CodeTooLong, "the metadata of the batch has about %s when encoded, at most %s are possible in a large batch",
			message.Plural(in.Size, "byte"), message.Number(message.MaxLarge))
	}
	return problems
}

// cleanWait is how long what a failed start wrote may take to be removed.
const cleanWait = 30 * time.Second

// removeFolder removes a folder of a batch that did not start, also when the caller has
// gone. What it cannot remove, a purge will.
func (s *Starter) removeFolder(ctx context.Context, dir string) {
	if dir == "" {
		return // it has none
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanWait)
	defer cancel()
	if err := s.o.Store.Delete(ctx, dir); err != nil {
		s.o.Log.Warn("a folder of a batch that did not start is left in the store", zap.String("dir", dir), zap.Error(err))
	}
}

// resolvedLarge is what the start of a large batch had resolved.
func (s *Starter) resolvedLarge(ctx context.Context, ref Ref, m server.Memo) (Started, error) {
	out := Started{
		ID: ref.ID, Total: m.Total, Rejected: m.Rejected, Existing: true, Problems: message.Problems{},
		SendAfter: message.At(m.SendAfter), RedriveOf: m.RedriveOf, Content: m.Hash,
	}
	if s.o.Store == nil {
		return out, nil
	}
	manifest, err := s.o.Store.Manifest(ctx, m.Dir)
	if store.Lost(err) { // as after a purge
		return out, nil
	}
	if err != nil {
		return out, server.StoreError("batch "+ref.ID, err)
	}
	out.Segments = len(manifest.Segments)
	for i, segment := range manifest.Segments {
		if segment.Rejected == 0 || len(out.Problems) >= shownProblems {
			continue
		}
		lines, err := s.o.Store.Lines(ctx, m.Dir, i+1)
		if err != nil {
			return out, server.StoreError("batch "+ref.ID, err)
		}
		for _, l := range lines {
			if l.Code != "" && len(out.Problems) < shownProblems {
				out.Problems = append(out.Problems, problemOf(l))
			}
		}
	}
	return out, nil
}
