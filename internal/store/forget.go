package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"volley/internal/message"
)

// Place is where a message of a batch lies.
type Place struct {
	Index int
	message.Location
}

// FindMessages reads all messages of a batch and returns the places of those that is chooses,
// in the order in which they lie.
func (s *Store) FindMessages(ctx context.Context, dir string, is func(b *message.Batch, m *message.Message) bool) ([]Place, error) {
	manifest, err := s.Manifest(ctx, dir)
	if err != nil {
		return nil, err
	}
	found := make([][]Place, len(manifest.Segments))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(readAhead)
	for i := range manifest.Segments {
		group.Go(func() error {
			g, err := s.freshSegment(gctx, dir, i+1)
			if err != nil {
				return err
			}
			for pos := range g.Len() {
				index, m, err := g.Message(pos)
				if err != nil {
					return err
				}
				if is(&manifest.Batch, &m) {
					found[i] = append(found[i], Place{index, message.Location{Segment: i + 1, Pos: pos}})
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return slices.Concat(found...), err
}

// freshSegment reads a segment from the bucket, whatever the cache has.
func (s *Store) freshSegment(ctx context.Context, dir string, number int) (*Segment, error) {
	key := segmentKey(dir, number)
	data, err := s.readObject(ctx, key)
	if err != nil {
		return nil, s.missing(ctx, err)
	}
	return parseSegment(key, data, number)
}

// Forget takes out of a batch that has ended whom some of its messages were for and what they
// said, and what providers said of them, and out of all texts each of values. Their places,
// times, states, codes and reports' times stay, and with them all counts. It returns how many
// objects were written anew, and may be repeated. While it runs nobody may keep ledgers or
// reports of the batch. Other processes may have the messages in memory for a while.
func (s *Store) Forget(ctx context.Context, dir string, places []Place, values []string) (objects int, err error) {
	if _, err := folderOf(dir); err != nil {
		return 0, err
	}
	bySegment := map[int][]Place{}
	for _, p := range places {
		bySegment[p.Segment] = append(bySegment[p.Segment], p)
	}
	each := func(forget func(context.Context, string, int, []Place) error) error {
		for number, some := range bySegment {
			switch err := forget(ctx, dir, number, some); {
			case err == nil:
				objects++
			case !errors.Is(err, ErrNotFound):
				return err
			}
		}
		return nil
	}
	if err := each(s.forgetRecords); err != nil {
		return objects, err
	}
	n, err := s.forgetReports(ctx, dir, places, values)
	objects += n
	if err != nil {
		return objects, err
	}
	switch r, err := s.Result(ctx, dir); {
	case err == nil:
		if forgetReasons(r.Status.Reasons, values) {
			objects++
			if err := s.KeepResult(ctx, dir, r); err != nil {
				return objects, err
			}
		}
	case !errors.Is(err, ErrNotFound):
		return objects, err
	}
	// The messages go last: by them it is found where to go on after an error.
	err = each(s.forgetMessages)
	s.cache.drop(dir + "/")
	return objects, err
}

// forgetMessages writes a segment anew. What a workflow reads of it stays as it is, but for
// why messages were rejected.
func (s *Store) forgetMessages(ctx context.Context, dir string, number int, places []Place) error {
	g, err := s.freshSegment(ctx, dir, number)
	if err != nil {
		return err
	}
	gone := map[int]bool{}
	for _, p := range places {
		gone[p.Pos] = true
	}
	lines := slices.Clone(g.lines)
	body := make([]byte, 0, len(g.body))
	ends := make([]uint32, g.Len())
	for pos := range g.Len() {
		raw := g.raw(pos)
		if gone[pos] {
			_, m, err := g.Message(pos)
			if err != nil {
				return err
			}
			rest := m.Forgotten()
			if raw, err = json.Marshal(&rest); err != nil {
				return named(g.key, err)
			}
			lines[pos].Detail = ""
		}
		body = append(body, raw...)
		ends[pos] = uint32(len(body)) //nolint:gosec // a segment has 8 MiB at most
	}
	data, rest, err := packSegment(nil, number, lines, ends, body)
	if err != nil {
		return named(g.key, err)
	}
	if data, err = s.seal(g.key, data, rest); err != nil {
		return err
	}
	return s.write(ctx, g.key, data, true)
}

// forgetRecords writes a ledger anew.
func (s *Store) forgetRecords(ctx context.Context, dir string, number int, places []Place) error {
	l, err := s.freshLedger(ctx, ledgerKey(dir, number))
	if err != nil {
		return err
	}
	for _, p := range places {
		if p.Pos < len(l.Records) {
			l.Records[p.Pos].Forget()
		}
	}
	return s.KeepLedger(ctx, dir, number, l)
}

// forgetReports writes the late reports of the messages anew, in both of their places.
func (s *Store) forgetReports(ctx context.Context, dir string, places []Place, values []string) (objects int, err error) {
	r, err := s.Reported(ctx, dir)
	if err != nil || r.V == 0 {
		return 0, err
	}
	gone := map[int]bool{}
	for _, p := range places {
		gone[p.Index] = true
	}
	for number, g := range r.Segments {
		for place := range 2 {
			key := placeKey(dir, number, place)
			var late message.LateReports
			_, err := s.readJSON(ctx, key, &late)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return objects, err
			}
			changed := false
			for i := range late {
				if x := &late[i]; gone[x.Index] {
					x.ProviderID, x.Detail, changed = "", "", true
				}
			}
			if !changed {
				continue
			}
			if err := s.writeJSON(ctx, key, late); err != nil {
				return objects, err
			}
			objects++
		}
		forgetReasons(g.Reasons, values)
	}
	forgetReasons(r.Reasons, values)
	return objects + 1, s.writeJSON(ctx, lateKey(dir, summaryName), r)
}

// forgetReasons takes out of reasons the examples that repeat one of values.
func forgetReasons(reasons message.Reasons, values []string) (changed bool) {
	for i := range reasons {
		for _, v := range values {
			if v != "" && strings.Contains(reasons[i].Detail, v) {
				reasons[i].Detail, changed = "", true
			}
		}
	}
	return changed
}
