package engine

import (
	"container/heap"
)

// queue holds message indexes by time, then by index. Entries are not removed
// when a message moves on; whoever pops one checks that it still stands.
type queue []slot

type slot struct {
	at int64
	i  int
}

func (s slot) before(o slot) bool { return s.at < o.at || s.at == o.at && s.i < o.i }

func (q queue) Len() int           { return len(q) }
func (q queue) Less(a, b int) bool { return q[a].before(q[b]) }
func (q queue) Swap(a, b int)      { q[a], q[b] = q[b], q[a] }

// Push and Pop are for container/heap only.
func (q *queue) Push(x any) { *q = append(*q, x.(slot)) }

func (q *queue) Pop() any {
	old := *q
	s := old[len(old)-1]
	*q = old[:len(old)-1]
	return s
}

func (q *queue) add(at int64, i int) { heap.Push(q, slot{at, i}) }

// top drops entries that no longer stand and returns the first that does.
func (q *queue) top(stands func(slot) bool) (slot, bool) {
	for len(*q) > 0 {
		if s := (*q)[0]; stands(s) {
			return s, true
		}
		heap.Pop(q)
	}
	return slot{}, false
}

// position is where a message that has not ended is kept.
type position uint8

const (
	outside     position = iota
	inDue                // waits for its time
	inReady              // waits for a free slot
	inQuestions          // its provider is to be asked about it
	underWay             // an attempt or a question is handed to Temporal
)
