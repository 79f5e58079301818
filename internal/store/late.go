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

// Late reports of a batch are an object for each segment that has any, and a summary.
// A segment has two places for its object. Whoever keeps reports writes all that there
// are of a segment to the place that the summary does not name, and then the summary
// over the one that was there, which is what counts. So a reader sees all of them or
// none, and a writer that ends leaves nothing that the next one does not overwrite.
//
// Reports are never taken away, and each has a rev above those before it. So a reader
// whose summary has become old meanwhile finds in the place that it names what the
// summary means, and passes over reports with a higher rev. There is one writer of a
// batch at a time.
const (
	lateName    = "late"
	summaryName = "summary"
	// lateSize is about how many bytes an entry takes in memory.
	lateSize = 160
)

// Reported is the summary of a batch's late reports. The zero value is that of a
// batch without any. It is shared: callers change nothing in it.
type Reported struct {
	V int `json:"v"`
	// Namespace and Cluster are where the batch ran, as in a Manifest.
	Namespace string `json:"namespace,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	// Rev is that of the last change.
	Rev int64 `json:"rev"`
	// Count is how many messages changed, and Moved how.
	Count int                 `json:"count"`
	Moved message.CountDeltas `json:"moved,omitempty"`
	// Reasons are those of the messages that did not arrive.
	Reasons message.Reasons `json:"reasons,omitempty"`
	// Segments has the segments with late reports; that of a small batch is 0.
	Segments map[int]ReportedSegment `json:"segments,omitempty"`
}

// ReportedSegment is what a summary says of one segment.
type ReportedSegment struct {
	// Place is that of the object with the reports, 0 or 1.
	Place int `json:"p,omitempty"`
	// Rev, Count, Moved and Reasons are as in Reported.
	Rev     int64               `json:"r"`
	Count   int                 `json:"n"`
	Moved   message.CountDeltas `json:"m,omitempty"`
	Reasons message.Reasons     `json:"w,omitempty"`
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

func lateKey(dir, name string) string { return dir + "/" + lateName + "/" + name }

// Reported reads the summary of a batch's late reports. Where there is none the
// result is the zero value.
func (s *Store) Reported(ctx context.Context, dir string) (Reported, error) {
	var r Reported
	if _, err := folderOf(dir); err != nil {
		return r, err
	}
	key := lateKey(dir, summaryName)
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

// LateReports are the late reports of one segment's messages, by the index of the
// message, or why they cannot be read.
type LateReports struct {
	ByIndex map[int]message.LateReport
	Err     error
}

// LateReports reads the late reports of some segments side by side, as a summary has
// them; a segment without any is not in the result, and that of a small batch is 0. A
// segment that cannot be read has its error alone.
func (s *Store) LateReports(ctx context.Context, dir string, r Reported, segments ...int) (map[int]LateReports, error) {
	if _, err := folderOf(dir); err != nil {
		return nil, err
	}
	some := slices.DeleteFunc(slices.Clone(segments), func(number int) bool { return r.Segments[number].Count == 0 })
	found := map[int]LateReports{}
	return found, inWaves(ctx, len(some), func(i int) (message.LateReports, error) {
		return s.lates(ctx, dir, some[i], r.Segments[some[i]])
	}, func(i int, late message.LateReports, err error) error {
		of := LateReports{Err: err, ByIndex: make(map[int]message.LateReport, len(late))}
		for _, l := range late {
			of.ByIndex[l.Index] = l
		}
		found[some[i]] = of
		return nil
	})
}

// LateOf is LateReports for all messages of the segments at once: a segment that
// cannot be read is an error.
func (s *Store) LateOf(ctx context.Context, dir string, r Reported, segments ...int) (map[int]message.LateReport, error) {
	found, err := s.LateReports(ctx, dir, r, segments...)
	if err != nil {
		return nil, err
	}
	all := map[int]message.LateReport{}
	for _, number := range segments {
		if found[number].Err != nil {
			return nil, found[number].Err
		}
		maps.Copy(all, found[number].ByIndex)
	}
	return all, nil
}

// lates reads the late reports of one segment.
func (s *Store) lates(ctx context.Context, dir string, number int, g ReportedSegment) (message.LateReports, error) {
	key := placeKey(dir, number, g.Place)
	return cached(ctx, s.cache, fmt.Sprintf("%s#%d", key, g.Rev), func(ctx context.Context) (message.LateReports, int64, error) {
		var late message.LateReports
		size, err := s.readJSON(ctx, key, &late)
		if err != nil {
			return nil, 0, err
		}
		late = slices.DeleteFunc(late, func(l message.LateReport) bool { return l.Rev > g.Rev })
		return late, 2*size + lateSize*int64(len(late)), nil
	})
}

// placeKey names the object of a segment at a place.
func placeKey(dir string, number, place int) string {
	return lateKey(dir, fmt.Sprintf("%04d.%d", number, place))
}

// KeepOptions are what KeepLate may be told. The zero value works.
type KeepOptions struct {
	// Rev is what the rev of every change is at least.
	Rev int64
	// Namespace and Cluster are where the batch ran, for the summary.
	Namespace, Cluster string
}

// KeepLate adds late reports to those of a batch, all in one commit, and returns the
// summary. Each becomes a change of its own, with a rev above that of the last one.
// The report of a message that has one is left out, so that the call can be repeated.
// The reports of segments in failed were not added, for that reason; the others were.
// After an error either all others were added or none. Only one writer of a batch may
// be under way.
func (s *Store) KeepLate(ctx context.Context, dir string, late message.LateReports, o KeepOptions) (r Reported, failed map[int]error, err error) {
	before, err := s.Reported(ctx, dir)
	if err == nil && len(late) > 0 {
		_, err = s.bucket(ctx) // without a directory no segment can be kept
	}
	if err != nil || len(late) == 0 {
		return before, nil, err
	}
	k := keeping{store: s, dir: dir, r: before, failed: map[int]error{}, segments: map[int]*keptSegment{}}
	k.r.Segments = map[int]ReportedSegment{}
	maps.Copy(k.r.Segments, before.Segments)
	k.r.V, k.r.Rev = message.Version, max(before.Rev, o.Rev-1)
	k.r.Namespace, k.r.Cluster = o.Namespace, o.Cluster
	if err := k.read(ctx, late); err != nil {
		return before, k.failed, err
	}
	k.add(late)
	if err := k.write(ctx); err != nil || !k.changed {
		return before, k.failed, err
	}
	if err := s.writeJSON(ctx, lateKey(dir, summaryName), k.r); err != nil {
		return before, k.failed, err
	}
	return k.r, k.failed, nil
}

// keeping is one call of KeepLate.
type keeping struct {
	store    *Store
	dir      string
	r        Reported // as it will be
	changed  bool
	segments map[int]*keptSegment
	failed   map[int]error
}

// keptSegment is a segment to which reports are added.
type keptSegment struct {
	number int
	late   message.LateReports
	known  map[int]bool // indexes in late
	added  message.LateReports
}

// read reads the objects of the segments that the reports are of.
func (k *keeping) read(ctx context.Context, late message.LateReports) error {
	for i := range late {
		if number := late[i].Segment; k.segments[number] == nil {
			k.segments[number] = &keptSegment{number: number, known: map[int]bool{}}
		}
	}
	found, err := k.store.LateReports(ctx, k.dir, k.r, slices.Sorted(maps.Keys(k.segments))...)
	if err != nil {
		return err
	}
	for number, old := range found {
		if old.Err != nil {
			k.failed[number] = old.Err
		}
		for index, l := range old.ByIndex {
			k.segments[number].late = append(k.segments[number].late, l)
			k.segments[number].known[index] = true
		}
	}
	return nil
}

// add adds the reports to their segments.
func (k *keeping) add(late message.LateReports) {
	for _, l := range late {
		g := k.segments[l.Segment]
		if k.failed[l.Segment] != nil || g.known[l.Index] {
			continue
		}
		g.known[l.Index] = true
		k.r.Rev++
		l.Rev = k.r.Rev
		g.added = append(g.added, l)
	}
}

// write writes the objects that have grown, and counts what is in them.
func (k *keeping) write(ctx context.Context) error {
	var grown []*keptSegment
	for _, number := range slices.Sorted(maps.Keys(k.segments)) {
		if g := k.segments[number]; len(g.added) > 0 {
			g.late = append(g.late, g.added...)
			slices.SortFunc(g.late, func(a, b message.LateReport) int { return a.Index - b.Index })
			grown = append(grown, g)
		}
	}
	err := inWaves(ctx, len(grown), func(i int) (struct{}, error) {
		g := grown[i]
		return struct{}{}, k.store.writeJSON(ctx, placeKey(k.dir, g.number, 1-k.r.Segments[g.number].Place), g.late)
	}, func(i int, _ struct{}, err error) error {
		g := grown[i]
		if err != nil {
			k.failed[g.number] = err
			return nil
		}
		is := ReportedSegment{Place: 1 - k.r.Segments[g.number].Place, Count: len(g.late)}
		for _, l := range g.late {
			is.Rev = max(is.Rev, l.Rev)
			is.Moved.Add(l.From, l.State, 1)
			is.Reasons.Count(l.State, l.Code, l.Detail, 1)
		}
		k.r.Segments[g.number], k.changed = is, true
		return nil
	})
	k.r.Count, k.r.Moved, k.r.Reasons = 0, nil, nil
	for _, g := range k.r.Segments {
		k.r.Count += g.Count
		k.r.Reasons.Add(g.Reasons)
		for from, to := range g.Moved {
			for state, n := range to {
				k.r.Moved.Add(from, state, n)
			}
		}
	}
	return err
}

// onlyReports reports whether an object of a folder belongs to late reports.
func onlyReports(name string) bool { return strings.HasPrefix(name, lateName+"/") }
