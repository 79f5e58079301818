package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

var errClosed = errors.New("the sandbox is closed")

// log keeps what was accepted, in order, with the indexes that reads need.
type log struct {
	keep int

	mu      sync.RWMutex
	records []Record
	total   int64
	times   map[string]int
	// scopes holds positions in records, oldest first; byID holds the first
	// position of a provider's id or of a webhook's message id.
	scopes map[string][]int
	byID   map[string]int
	// beyond holds, by either id, account and provider's id of records that are not
	// kept: a message that was accepted is found, however many there are.
	beyond map[string][2]string
	file   *os.File
	err    error
}

func openLog(keep int, path string) *log {
	l := &log{keep: keep, times: map[string]int{}, scopes: map[string][]int{}, byID: map[string]int{}, beyond: map[string][2]string{}}
	if path == "" {
		return l
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = l.load(f)
	}
	if err != nil {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		l.err = fmt.Errorf("sandbox journal: %w", err)
		return l
	}
	l.file = f
	return l
}

// load reads the whole lines of a journal and cuts off a last one that a killed
// process left unfinished.
func (l *log) load(f *os.File) error {
	in := bufio.NewReaderSize(f, 1<<16)
	var end int64
	for line := 1; ; line++ {
		b, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var r Record
		if err := json.Unmarshal(bytes.TrimSpace(b), &r); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		end += int64(len(b))
		l.total = r.Seq - 1
		l.insert(r)
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	_, err := f.Seek(end, io.SeekStart)
	return err
}

// add accepts records together: all are in the journal and in memory, or none.
// It numbers and dates them in place.
func (l *log) add(now func() time.Time, records ...*Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	at := now().UTC()
	var lines bytes.Buffer
	for i, r := range records {
		r.At, r.Seq = at, l.total+int64(i)+1
		if l.file == nil {
			continue
		}
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		lines.Write(append(b, '\n'))
	}
	if l.file != nil {
		if _, err := l.file.Write(lines.Bytes()); err != nil {
			l.err = fmt.Errorf("sandbox journal: %w", err)
			return l.err
		}
	}
	for _, r := range records {
		l.insert(*r)
	}
	return nil
}

func (l *log) insert(r Record) {
	l.total++
	if len(l.records) >= l.keep {
		for _, id := range []string{r.ProviderID, r.ID} {
			if id != "" {
				l.beyond[r.Provider+"\x00"+id] = [2]string{r.Account, r.ProviderID}
			}
		}
		return
	}
	at := len(l.records)
	r.Times = 0
	l.records = append(l.records, r)
	l.times[r.key()]++
	l.scopes[r.Scope] = append(l.scopes[r.Scope], at)
	for _, id := range []string{r.ProviderID, r.ID} {
		k := r.Provider + "\x00" + id
		if _, ok := l.byID[k]; !ok && id != "" {
			l.byID[k] = at
		}
	}
}

// find returns the first record of a provider with an id, the provider's or the
// sender's.
func (l *log) find(provider, id string) (Record, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	at, ok := l.byID[provider+"\x00"+id]
	if ok && id != "" {
		return l.records[at], true
	}
	b, ok := l.beyond[provider+"\x00"+id]
	return Record{Provider: provider, Account: b[0], ProviderID: b[1]}, ok && id != ""
}

// newest returns the records of a scope in [since, until), newest first: at most
// limit after skipping some, and how many there are in all. A zero time is no
// bound.
func (l *log) newest(scope string, since, until time.Time, skip, limit int) (out []Record, count int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, at := range slices.Backward(l.scopes[scope]) {
		r := l.records[at]
		if !until.IsZero() && !r.At.Before(until) {
			continue
		}
		if !since.IsZero() && r.At.Before(since) {
			break
		}
		if count >= skip && len(out) < limit {
			out = append(out, r)
		}
		count++
	}
	return out, count
}

// matching returns kept records that want allows, newest first, at most limit.
func (l *log) matching(want func(*Record) bool, limit int) []Record {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := []Record{}
	for i := range slices.Backward(l.records) {
		r := l.records[i]
		if len(out) == limit {
			break
		}
		if want(&r) {
			r.Times = l.times[r.key()]
			out = append(out, r)
		}
	}
	return out
}

func (l *log) received() []Record {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := slices.Clone(l.records)
	for i := range out {
		out[i].Times = l.times[out[i].key()]
	}
	return out
}

func (l *log) counts() Counts {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return Counts{
		Total: l.total, Kept: len(l.records), Distinct: len(l.times),
		Doubles: len(l.records) - len(l.times),
	}
}

func (l *log) failure() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if errors.Is(l.err, errClosed) {
		return nil
	}
	return l.err
}

func (l *log) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.err, errClosed) {
		return nil
	}
	if l.err == nil {
		l.err = errClosed
	}
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
