package index

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// cell is one counter.
type cell struct{ quarter, batch, label, wait int64 }

// tally is by how much counters change.
type tally map[cell]int64

// quarter is the span of a counter: hours and days of every zone are made of quarters of an hour.
const quarter = 15 * time.Minute

func (c tally) count(batch, label int64, due, sent, ended *int64, n int64) {
	at := cell{batch: batch, label: label, wait: waitOf(due, sent)}
	if ended != nil {
		at.quarter = *ended / quarter.Milliseconds()
	}
	c[at] += n
}

// waitGrowth is by how much each step of a wait is longer than the one before: the middle
// of a step is within a tenth of all in it.
const waitGrowth = 1.2

// waitOf is the step of the time from when a message was due to when it was sent; -1 is that
// it was not.
func waitOf(due, sent *int64) int64 {
	if sent == nil || due == nil {
		return -1
	}
	return int64(math.Log(float64(max(*sent-*due, 1))) / math.Log(waitGrowth))
}

// waitIn is the middle of a step, in seconds.
func waitIn(step int64) float64 {
	return math.Pow(waitGrowth, float64(step)+0.5) / 1000
}

// apply changes the counters. Those that come to nothing go.
func (t *tx) apply(moves tally) error {
	cells := make([]cell, 0, len(moves))
	fell := false
	for c, n := range moves {
		if n != 0 {
			cells = append(cells, c)
			fell = fell || n < 0
		}
	}
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.quarter, b.quarter), cmp.Compare(a.batch, b.batch), cmp.Compare(a.label, b.label), cmp.Compare(a.wait, b.wait))
	})
	const add = " ON CONFLICT (quarter, batch, label, wait) DO UPDATE SET n = tally.n + excluded.n"
	err := t.insert("INSERT INTO tally (quarter, batch, label, wait, n) ", 5, add, len(cells), func(i int) []any {
		c := cells[i]
		return []any{c.quarter, c.batch, c.label, c.wait, moves[c]}
	})
	if err != nil || !fell {
		return err
	}
	for _, c := range cells {
		if moves[c] < 0 {
			if _, err := t.exec("DELETE FROM tally WHERE quarter = ? AND batch = ? AND label = ? AND wait = ? AND n = 0", c.quarter, c.batch, c.label, c.wait); err != nil {
				return err
			}
		}
	}
	return nil
}
