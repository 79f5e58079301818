package message

import "time"

const (
	// clockRevs are revs that begin at a time in ms; smaller ones count.
	clockRevs = int64(1) << 40
	// revSkew is how far apart the clocks of the servers may be whose times stand in revs.
	revSkew = 2 * time.Second
)

// RevsSettle is how old a rev is, by the clock of whoever reads it, when none can come
// before it any more.
const RevsSettle = 10 * time.Second

// SettledRev is the rev up to which everything that has changed can be read at a time: no
// change with a smaller rev comes later. The revs of an open batch whose segments count for
// themselves come from the servers' clocks; all other batches count.
func (s *Status) SettledRev(now time.Time) int64 {
	if s.State.Closed() || s.Rev < clockRevs {
		return s.Rev
	}
	old := now.Add(-RevsSettle).UnixMilli() << RevShift
	return max(s.Rev-revSkew.Milliseconds()<<RevShift, min(s.Rev, old))
}
