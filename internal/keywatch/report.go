package keywatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"

	"volley/internal/announce"
	"volley/internal/encryption"
	"volley/internal/message"
)

const (
	// forgotten is how long after its last report a process counts as gone.
	forgotten = 5 * time.Minute
	// polled is how long ago a worker that is there has polled at most.
	polled = 70 * time.Second
	// mostKeys is how many keys a report names, the newest: Temporal takes 1,000 bytes.
	mostKeys = 40
)

// Server is what is needed of Temporal.
type Server = announce.Server

// Report is what a process says of its keys.
type Report struct {
	// Process is its identity, as volley-123@host, and Role is worker or gateway.
	Process, Role string
	// Keys are the keys that it has, and Primary is the one that seals; 0 is that it has no
	// keyset.
	Keys    []uint32
	Primary uint32
	// Since is when it read them.
	Since time.Time
	// Silent means that it polls for workflows and says nothing of its keys, as a version
	// of before does.
	Silent bool
	// more means that it has older keys that are not named.
	more, ended bool
	seen        time.Time
}

// Has says whether the process has a key, as far as that is known.
func (r *Report) Has(key uint32) bool { return !r.Silent && (r.more || slices.Contains(r.Keys, key)) }

// String is for people, as "worker volley-123@host".
func (r *Report) String() string { return r.Role + " " + r.Process }

// queueOf is the queue that processes poll to report, and on which there is never a task.
func queueOf(taskQueue string) string { return taskQueue + "-keys" }

// reportOf is the report of a process with a keyset.
func reportOf(process, role string, k *encryption.Keyset, since time.Time) Report {
	r := Report{Process: process, Role: role, Since: since}
	if k.IsOff() {
		return r
	}
	for _, key := range k.Keys() {
		if key.Enabled {
			r.Keys = append(r.Keys, key.ID)
		}
	}
	r.Primary = k.Primary()
	if n := len(r.Keys) - mostKeys; n > 0 {
		r.Keys, r.more = r.Keys[n:], true
	}
	return r
}

// identity is the report as the identity of a poll.
func (r *Report) identity() string {
	keys := make([]string, 0, len(r.Keys)+1)
	for _, key := range r.Keys {
		keys = append(keys, strconv.FormatUint(uint64(key), 10))
	}
	if r.more {
		keys = append(keys, "more")
	}
	state := "runs"
	if r.ended {
		state = "ended"
	}
	return fmt.Sprintf("%s %s %s since=%d seals=%d keys=%s", r.Process, r.Role, state, r.Since.UnixMilli(), r.Primary, strings.Join(keys, ","))
}

// parse reads an identity; false is another one.
func parse(identity string) (r Report, ok bool) {
	words := strings.Fields(identity)
	if len(words) < 6 {
		return r, false
	}
	n := len(words) - 5
	r.Process, r.Role, r.ended = strings.Join(words[:n], " "), words[n], words[n+1] == "ended"
	since, err := strconv.ParseInt(strings.TrimPrefix(words[n+2], "since="), 10, 64)
	if err != nil {
		return r, false
	}
	r.Since = time.UnixMilli(since)
	primary, err := strconv.ParseUint(strings.TrimPrefix(words[n+3], "seals="), 10, 32)
	if err != nil {
		return r, false
	}
	r.Primary = uint32(primary)
	for text := range strings.SplitSeq(strings.TrimPrefix(words[n+4], "keys="), ",") {
		key, err := strconv.ParseUint(text, 10, 32)
		switch {
		case text == "more":
			r.more = true
		case err == nil:
			r.Keys = append(r.Keys, uint32(key))
		}
	}
	return r, true
}

// Reports is what the workers and gateways of a queue say of their keys, those that live:
// one that ended says so, and one that was killed is forgotten after five minutes. now is
// this machine's time.
func Reports(ctx context.Context, s Server, namespace, taskQueue string, now time.Time) ([]Report, error) {
	reporting, err := pollers(ctx, s, namespace, queueOf(taskQueue), enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return nil, err
	}
	newest := map[string]Report{}
	for _, p := range reporting {
		r, ok := parse(p.GetIdentity())
		r.seen = p.GetLastAccessTime().AsTime()
		before, several := newest[r.String()]
		if ok && now.Sub(r.seen) <= forgotten && (!several || r.after(&before)) {
			newest[r.String()] = r
		}
	}
	known := map[string]bool{}
	var all []Report
	for _, r := range newest {
		known[r.Process] = true
		if !r.ended {
			all = append(all, r)
		}
	}
	working, err := pollers(ctx, s, namespace, taskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return nil, err
	}
	for _, p := range working {
		process, _, _ := strings.Cut(p.GetIdentity(), "~") // a worker's own suffix
		if !known[process] && now.Sub(p.GetLastAccessTime().AsTime()) <= polled {
			known[process] = true
			all = append(all, Report{Process: process, Role: "worker", Silent: true, Since: p.GetLastAccessTime().AsTime()})
		}
	}
	slices.SortFunc(all, func(a, b Report) int { return cmp.Compare(a.String(), b.String()) })
	return all, nil
}

// after says whether a report of the same process is the newer one.
func (r *Report) after(other *Report) bool {
	if r.ended != other.ended && r.Since.Equal(other.Since) {
		return r.ended
	}
	if !r.Since.Equal(other.Since) {
		return r.Since.After(other.Since)
	}
	return r.seen.After(other.seen)
}

func pollers(ctx context.Context, s Server, namespace, queue string, kind enumspb.TaskQueueType) ([]*taskqueuepb.PollerInfo, error) {
	all, err := announce.Pollers(ctx, s, namespace, queue, kind)
	if err != nil {
		return nil, fmt.Errorf("look which keys the processes have: %w", err)
	}
	return all, nil
}

// Lacking says of each process that lacks one of the keys which it lacks, as "key 42 is
// missing at worker volley-123@host since 2026-11-30T12:00:00Z".
func Lacking(all []Report, keys ...uint32) []string {
	var found []string
	for i := range all {
		r := &all[i]
		if r.Silent {
			found = append(found, fmt.Sprintf("%s does not say which keys it has, as an earlier version does not", r))
			continue
		}
		var missing []string
		for _, key := range keys {
			if !r.Has(key) {
				missing = append(missing, strconv.FormatUint(uint64(key), 10))
			}
		}
		switch {
		case len(missing) == 0:
		case r.Primary == 0:
			found = append(found, fmt.Sprintf("%s has no keyset, since %s", r, r.Since.UTC().Format(time.RFC3339)))
		case len(missing) == 1:
			found = append(found, fmt.Sprintf("key %s is missing at %s since %s", missing[0], r, r.Since.UTC().Format(time.RFC3339)))
		default:
			found = append(found, fmt.Sprintf("%s (%s) are missing at %s since %s", message.Plural(len(missing), "key"), strings.Join(missing, ", "), r, r.Since.UTC().Format(time.RFC3339)))
		}
	}
	return found
}
