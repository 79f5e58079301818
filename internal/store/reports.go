package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"volley/internal/message"
)

// Late reports of a batch are objects in its folder, and a summary that names those
// that count. Each time reports are kept a log is written, and then the summary over
// the one that was there; so a reader sees all of them or none. Logs are merged into
// runs, and runs into blocks of neighbouring segments, so that there are never many
// objects, and few of them have to be read for one segment. There is one writer of a
// batch at a time.
const (
	reportsName = "reports"
	summaryName = "summary"
	// mergeAt is how many logs, or runs, are merged.
	mergeAt = 16
	// blockSegments is how many segments a block covers.
	blockSegments = 50
	// lateSize is about how many bytes an entry takes in memory.
	lateSize = 160
)

// Reported is the summary of a batch's late reports. The zero value is that of a
// batch without any. It is shared: callers change nothing in it.
type Reported struct {
	V int `json:"v"`
	// Rev is that of the last change.
	Rev int64 `json:"rev"`
	// Count is how many messages changed, and Moved how.
	Count int           `json:"count"`
	Moved message.Moves `json:"moved,omitempty"`
	// Next is the number of the next object; the others name objects by number.
	Next   int         `json:"next"`
	Logs   []int       `json:"logs,omitempty"`
	Runs   []int       `json:"runs,omitempty"`
	Blocks map[int]int `json:"blocks,omitempty"`
}

// ReportsDir is the folder that holds the late reports of a small batch. It follows
// from the id of its workflow and the day on which it was created.
func ReportsDir(tenant, batch, workflowID string, created time.Time) string {
	if tenant == "" {
		tenant = message.DefaultTenant
	}
	sum := sha256.Sum256([]byte("reports " + workflowID))
	return fmt.Sprintf("%s/%s/%s~%s", tenant, created.UTC().Format(time.DateOnly), batch, hex.EncodeToString(sum[:])[:startDigits])
}

func reportsKey(dir, name string) string { return dir + "/" + reportsName + "/" + name }

func lateKey(dir string, number int) string { return reportsKey(dir, fmt.Sprintf("%06d", number)) }

// Reported reads the summary of a batch's late reports. Where there is none the
// result is the zero value.
func (s *Store) Reported(ctx context.Context, dir string) (Reported, error) {
	var r Reported
	if _, err := folderOf(dir); err != nil {
		return r, err
	}
	key := reportsKey(dir, summaryName)
	_, err := s.readJSON(ctx, key, &r)
	switch {
	case errors.Is(err, ErrNotFound):
		return Reported{}, nil
	case err != nil:
		return Reported{}, err
	case r.V != message.Version:
		return Reported{}, fmt.Errorf("%s: the format has version %d, expected %d", key, r.V, message.Version)
	}
	return r, nil
}

// readTries is how often a summary is read whose objects were merged meanwhile.
const readTries = 5

// LateOf reads the late reports of the messages of some segments, by the index of
// the message, as a summary has them; those of a small batch are in segment 0. Where
// objects that the summary names were merged meanwhile it reads a new one. It returns
// the summary that the reports are of.
func (s *Store) LateOf(ctx context.Context, dir string, r Reported, segments ...int) (map[int]message.Late, Reported, error) {
	if _, err := folderOf(dir); err != nil {
		return nil, r, err
	}
	for try := 1; ; try++ {
		found, err := s.lateOf(ctx, dir, &r, segments)
		if !errors.Is(err, ErrNotFound) || try == readTries {
			return found, r, err
		}
		if r, err = s.Reported(ctx, dir); err != nil {
			return nil, r, err
		}
	}
}

func (s *Store) lateOf(ctx context.Context, dir string, r *Reported, segments []int) (map[int]message.Late, error) {
	found := map[int]message.Late{}
	wanted, numbers := map[int]bool{}, slices.Concat(r.Logs, r.Runs)
	blocks := map[int]bool{}
	for _, g := range segments {
		wanted[g] = true
		if n, ok := r.Blocks[g/blockSegments]; ok && !blocks[g/blockSegments] {
			blocks[g/blockSegments] = true
			numbers = append(numbers, n)
		}
	}
	for _, n := range numbers {
		all, err := s.lates(ctx, dir, n)
		if err != nil {
			return nil, err
		}
		for _, l := range all {
			if wanted[l.Segment] {
				found[l.Index] = l
			}
		}
	}
	return found, nil
}

// lates reads one object.
func (s *Store) lates(ctx context.Context, dir string, number int) (message.Lates, error) {
	key := lateKey(dir, number)
	return cached(ctx, s.cache, key, func(ctx context.Context) (message.Lates, int64, error) {
		var l message.Lates
		size, err := s.readJSON(ctx, key, &l)
		return l, 2*size + lateSize*int64(len(l)), err
	})
}

// KeepLate adds late reports to those of a batch, of messages that have none yet,
// and returns the summary. Each becomes a change of its own, with a rev above that
// of the last one and not below rev. Only one writer of a batch may be under way.
func (s *Store) KeepLate(ctx context.Context, dir string, late message.Lates, rev int64) (Reported, error) {
	r, err := s.Reported(ctx, dir)
	if err != nil || len(late) == 0 {
		return r, err
	}
	r.Rev = max(r.Rev, rev-1)
	r.V, r.Blocks, r.Moved = message.Version, maps.Clone(r.Blocks), copied(r.Moved)
	for i := range late {
		r.Rev++
		late[i].Rev = r.Rev
		r.Moved.Add(late[i].From, late[i].State, 1)
	}
	r.Count += len(late)
	n, err := s.writeLates(ctx, dir, &r, late)
	if err != nil {
		return r, err
	}
	r.Logs = append(slices.Clone(r.Logs), n)
	stale, err := s.merge(ctx, dir, &r)
	if err != nil {
		return r, err
	}
	if err := s.writeJSON(ctx, reportsKey(dir, summaryName), r); err != nil {
		return r, err
	}
	for _, n := range stale {
		// What is left of them is in nobody's way, and goes with the folder.
		_ = s.remove(ctx, lateKey(dir, n))
	}
	return r, nil
}

func copied(m message.Moves) message.Moves {
	var out message.Moves
	for from, to := range m {
		for state, n := range to {
			out.Add(from, state, n)
		}
	}
	return out
}

// writeLates writes an object and returns its number. Numbers of objects that no
// summary names are used again, since nobody has read them.
func (s *Store) writeLates(ctx context.Context, dir string, r *Reported, late message.Lates) (int, error) {
	n := r.Next
	r.Next++
	return n, s.writeJSON(ctx, lateKey(dir, n), late)
}

// merge keeps logs and runs few, and returns the objects that no longer count.
func (s *Store) merge(ctx context.Context, dir string, r *Reported) (stale []int, err error) {
	if len(r.Logs) < mergeAt {
		return nil, nil
	}
	run, err := s.all(ctx, dir, r.Logs)
	if err != nil {
		return nil, err
	}
	n, err := s.writeLates(ctx, dir, r, run)
	if err != nil {
		return nil, err
	}
	stale, r.Logs, r.Runs = r.Logs, nil, append(slices.Clone(r.Runs), n)
	if len(r.Runs) < mergeAt {
		return stale, nil
	}
	runs, err := s.all(ctx, dir, r.Runs)
	if err != nil {
		return nil, err
	}
	blocks := map[int]message.Lates{}
	for _, l := range runs {
		blocks[l.Segment/blockSegments] = append(blocks[l.Segment/blockSegments], l)
	}
	if r.Blocks == nil {
		r.Blocks = map[int]int{}
	}
	for _, b := range slices.Sorted(maps.Keys(blocks)) {
		block := blocks[b]
		if old, ok := r.Blocks[b]; ok {
			before, err := s.lates(ctx, dir, old)
			if err != nil {
				return nil, err
			}
			block = append(block, before...)
			stale = append(stale, old)
		}
		sortLates(block)
		if r.Blocks[b], err = s.writeLates(ctx, dir, r, block); err != nil {
			return nil, err
		}
	}
	stale, r.Runs = append(stale, r.Runs...), nil
	return stale, nil
}

// all reads several objects into one.
func (s *Store) all(ctx context.Context, dir string, numbers []int) (message.Lates, error) {
	var all message.Lates
	for _, n := range numbers {
		l, err := s.lates(ctx, dir, n)
		if err != nil {
			return nil, err
		}
		all = append(all, l...)
	}
	sortLates(all)
	return all, nil
}

func sortLates(all message.Lates) {
	slices.SortFunc(all, func(a, b message.Late) int { return a.Index - b.Index })
}

// onlyReports reports whether an object of a folder belongs to late reports.
func onlyReports(name string) bool { return strings.HasPrefix(name, reportsName+"/") }
